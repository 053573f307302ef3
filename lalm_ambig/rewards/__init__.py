"""Rewards: what a sampled response earns for the distribution that it led to.

A `Reward` gives each response of each group a number, and states its `minimum` (earned by a response that could not be
read) and its `upper_bound` per item. A run has several rewards, each with a weight; `total` computes and sums them. To
add one, write `rewards/NAME.py` with one subclass. Rewards know people's distributions and the responses' `Groups`,
no policy and no corpus.
"""
