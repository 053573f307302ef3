"""Duplicates: items that a corpus, or its test set and training set, have in common.

A *content* is a short text that two items share if they hold the same text or clip (`contents`). Clips are compared by
a `Sketch` of 32 numbers (`sound_sketch`), so that a copy in another format is recognised. `within_corpus` counts
repetitions of one corpus; `between_splits` compares the test items with the training items.
"""
