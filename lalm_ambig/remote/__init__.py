"""Servers over HTTP: those that sample for training, and those whose answers are evaluated.

A `Server` (`server`) tries a request once. It is `Unavailable` where another try may help, and has `Refused` where not.
What is asked, and what an answer must be, is the caller's.
"""
