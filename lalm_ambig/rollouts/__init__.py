"""Rollouts: what a policy writes, and what it says of given texts, with each prompt computed once.

A `Request` goes to `generate`, the one decode loop; it returns a `GeneratedBatch` of `Response`s. A `RolloutDecoder`
holds the prompts' keys and values meanwhile, shared by the K responses of a group or each by itself. `Sampling` chooses
tokens, with random numbers that belong to an item. `sample_groups` makes `Groups` of it, with a predicted distribution
per response. What samples in training is an `Engine` (`engines`): the decode loop, or a server.

`read_…` functions make a `Reading` of a batch: after the policy's own reasoning, after the curated one, at once
(`reading`), as a mean of samples (`samples`), or as stated in words (`parsing`). `score_spans` is the training pass:
log-probabilities and class scores (`scoring`) of given `ScoredSpan`s, in a `PassOutput`.

No rollout knows a method, a reward or a corpus.
"""
