"""Scores of the largest class against the majority label; ties go to the first class of the corpus's order.

A response that could not be read has no label. It counts as wrong, and adds to no class's predictions.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from lalm_ambig.core.distributions import majority
from lalm_ambig.metrics.base import DistributionMetric, ItemMean, with_count


class Accuracy(ItemMean):
    """Share of items whose largest class is the majority label, in [0, 1].

    >>> metric = Accuracy(2)
    >>> metric.update(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([[0.7, 0.3], [0.2, 0.8]]))
    >>> metric.compute().item()
    0.5
    """

    name = "accuracy"
    label = "Acc. ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def per_item(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, " item"]:
        return (majority(label_dist) == majority(predicted_dist)).to(label_dist.dtype)

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        return with_count(torch.zeros_like(label_dist[:, 0]))


class LabelCounts(DistributionMetric):
    """A metric of each class's right predictions, predictions and targets."""

    def statistics(
        self, label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
    ) -> Float[Tensor, "item statistic"]:
        return label_counts(label_dist, predicted_dist)

    def unanswered(self, label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
        return missed_counts(label_dist)


class F1Macro(LabelCounts):
    """Unweighted mean of the classes' F1, in [0, 1]: SHALA-LLM, appendix E.

    The mean is over classes that are the target or the prediction of some item, as in scikit-learn. A class of the
    corpus that neither has is left out; it does not count as 0.

    >>> metric = F1Macro(2)
    >>> metric.update(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([[0.7, 0.3], [0.2, 0.8]]))
    >>> round(metric.compute().item(), 4)
    0.3333
    """

    name = "f1_macro"
    label = "F1 (macro) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        f1, seen, _ = class_f1(sums)
        return f1.sum(-1) / (seen > 0).sum(-1)


class F1Weighted(LabelCounts):
    """Mean of the classes' F1, in [0, 1], weighted by the items per majority label: SHALA-LLM, appendix E.

    >>> metric = F1Weighted(2)
    >>> metric.update(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([[0.7, 0.3], [0.2, 0.8]]))
    >>> round(metric.compute().item(), 4)
    0.6667
    """

    name = "f1_weighted"
    label = "F1 (weighted) ↑"
    higher_is_better = True
    bounds = (0.0, 1.0)

    def reduce(self, sums: Float[Tensor, "*batch statistic"]) -> Float[Tensor, "*batch"]:
        f1, _, target = class_f1(sums)
        return (f1 * target).sum(-1) / target.sum(-1)


def label_counts(
    label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
) -> Float[Tensor, "item statistic"]:
    """Rows of three one-hot blocks of C: the class if predicted rightly, the class predicted, the target class."""
    width = label_dist.shape[-1]
    target = one_hot(majority(label_dist), width)
    predicted = one_hot(majority(predicted_dist), width)
    return torch.cat([target * predicted, predicted, target], dim=-1).to(label_dist.dtype)


def missed_counts(label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
    """The same rows for items without a predicted label: the target was missed, and no class was predicted wrongly."""
    target = one_hot(majority(label_dist), label_dist.shape[-1]).to(label_dist.dtype)
    return torch.cat([torch.zeros_like(target), torch.zeros_like(target), target], dim=-1)


def class_f1(
    sums: Float[Tensor, "*batch statistic"],
) -> tuple[
    Float[Tensor, "*batch category"], Float[Tensor, "*batch category"], Float[Tensor, "*batch category"]
]:
    """Per class: F1, how often it is a target or a prediction, and how often it is the target.

    F1 = 2·right/(predicted + target) of class sums; 0 for a class that is neither.
    """
    right, predicted, target = sums.chunk(3, dim=-1)
    seen = predicted + target
    return 2 * right / seen.clamp_min(1), seen, target
