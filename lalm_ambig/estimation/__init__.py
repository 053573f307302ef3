"""How much memory a run will take, from its configuration alone (`fit --estimate`).

The *skeleton* is the model without its weights; its *shapes* are the measures that decide memory. The *lengths* of a
corpus's texts and a method give the *workload* of a step. `formulas` turns these into bytes, `division` into the share
of each process under a strategy. `memory` adds them up per phase of a step, and `estimate` prints the table.
"""
