"""Self-check: a checkpoint is tried out when it is loaded, and the result decides how it is used.

A `ProbeText` has states by the model class's own forward, alone in its batch. Every faster way must give the same:
texts in batches and decoding from a cache (`plain`), texts in one row (`shared`). The adapter must act (`adapter`).
Each trial is a `Finding`; `examination` makes `Abilities` of them, and `cache` stores these on disk.
"""
