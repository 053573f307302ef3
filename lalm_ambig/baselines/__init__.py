"""Answers without the training that is to be judged: what a trained policy has to beat, and what is possible at all.

A `Baseline` turns `BaselineInputs` (the items to answer, the splits it may learn from) into a `BaselineResult`: one
prediction per item. `uniform` and `prior` look at no item; `probe` looks at a policy's frozen features, which `pooled`
computes and `softmax_regression` fits. `panel` and `oracle` are bounds: what people score among themselves, by the
mathematics in `floor`. Those of single annotators share `annotators`.

A module with one `Baseline` is a baseline of that name; `python -m lalm_ambig.baseline NAME` finds it.
"""
