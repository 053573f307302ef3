"""From predictions to results, comparisons and tables.

A `Prediction` is the answer to one item; `predictions.jsonl` holds a row for each. `evaluate_predictions` scores them:
`Results` have every metric as an `Interval` (from `intervals`), and `breakdowns` into `Part`s. `About` says where
predictions come from, `notes` what a reader has to know, `Overlap` how much of the test was trained on; the last is
computed from the `TrainedItems` of a run. A `Stage` is one training in a policy's past, with what it took (`Effort`).
`metrics.json` holds results; `read_evaluation` reads it with its predictions, if both are of one evaluation.

`AnnotatorScores` are of answers for single annotators, which `of_items` makes one answer per item.

`main_table`, `ambiguity_table` and `annotator_table` put results side by side. `compare` pairs two `ComparedRun`s item
by item and gives a `Comparison`. `published` has the figures that papers print.
"""
