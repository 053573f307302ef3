"""Metrics of predicted against target distributions, and of their majority labels.

A `DistributionMetric` (`base`) sums one row of statistics per item, so that batches, processes and intervals
add up exactly; `ItemMean` is the mean of one number per item. `divergences`, `overlap`, `correlations`, `labels`,
`calibration` and `ordered` have the metrics; their mathematics is in `core.distributions`. `Answers` are predictions,
some of which could not be read. `all_metrics()` finds every metric in these files and in new ones. `shared_task` has
the scores of *LeWiDi* as its organisers compute them, for lists as they are submitted. `annotators` has the errors of
answers for single annotators.
"""
