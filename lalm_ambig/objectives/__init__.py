"""Objectives: pure functions of what was gathered, with their coefficients as fields, one frozen dataclass per file.

An `…Experience` is what a method gathers for a batch: log-probabilities, masks, readouts, rewards turned into
advantages. An `…Objective` takes it and returns a `Loss` (total, and parts for the log). `advantages` turns the rewards
of a group into what GRPO's objective weighs by. No objective knows a policy, a reward or a corpus.
"""
