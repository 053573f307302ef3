"""What F1 scores are made of: per class, right predictions, predictions and targets."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot

from lalm_ambig.distributions import majority


def label_counts(
    label_dist: Float[Tensor, "item category"], predicted_dist: Float[Tensor, "item category"]
) -> Float[Tensor, "item statistic"]:
    """Rows of three one-hot blocks of C: the class where it was predicted rightly, as predicted, as the
    target."""
    width = label_dist.shape[-1]
    target = one_hot(majority(label_dist), width)
    predicted = one_hot(majority(predicted_dist), width)
    return torch.cat([target * predicted, predicted, target], dim=-1).to(label_dist.dtype)


def missed_counts(label_dist: Float[Tensor, "item category"]) -> Float[Tensor, "item statistic"]:
    """The same of items without a predicted label: the target was missed, and no class was predicted wrongly."""
    target = one_hot(majority(label_dist), label_dist.shape[-1]).to(label_dist.dtype)
    return torch.cat([torch.zeros_like(target), torch.zeros_like(target), target], dim=-1)


def class_f1(
    sums: Float[Tensor, "*batch statistic"],
) -> tuple[
    Float[Tensor, "*batch category"], Float[Tensor, "*batch category"], Float[Tensor, "*batch category"]
]:
    """Per class F1 = 2·right/(predicted + target), 0 for a class in neither; how often it stands in either;
    and how often it is the target."""
    right, predicted, target = sums.chunk(3, dim=-1)
    seen = predicted + target
    return 2 * right / seen.clamp_min(1), seen, target
