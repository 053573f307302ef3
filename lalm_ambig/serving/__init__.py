"""Serving: a model behind a page and an HTTP interface, for people on this machine.

A *form* is what a request carries: a recording, a text, or both. A `Refusal` is its answer where it cannot be used: a
status and one line. `decoding` makes samples of a recording in processes of its own, `worker` asks the model one batch
after the other, `guard` says whose requests are taken, and `app` brings them together. Nothing a request sends is
written to a disk, and nothing in it is taken for a path.
"""
