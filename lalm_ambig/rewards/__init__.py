"""Rewards: what a sampled response earns for the distribution that it led to.

A `Reward` gives each response of each group a number. It states its `minimum`, which a response that could not be read
earns, and its `upper_bound` per item. A run has several rewards, each with a weight; `total` computes and sums them. To
add one, write `rewards/NAME.py` with one subclass. Rewards know people's distributions and the responses' `Groups`,
no policy and no corpus.
"""
