"""A linear softmax on a policy's frozen features: the cheapest baseline that looks at items.

It trains in seconds once the features are computed. Fine-tuning and RL have to beat it to be worth their cost.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult, Features, predict_one
from lalm_ambig.baselines.softmax_regression import L2_GRID, Examples, SoftmaxRegression, best_fit
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Split

SEEN: dict[Split, str] = {
    "train": "fitted on these items",
    "validation": "the L2 penalty was chosen on these items",
}
"""Note on a split that the probe has seen."""


class Probe(Baseline):
    """Multinomial regression on soft labels, fitted on the training split.

    The L2 penalty is the one with the smallest KL on the validation split.
    """

    needs_features = True
    fitted_on = ("train", "validation")

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        return FittedProbe.fit(inputs).answer(inputs)


@dataclass(frozen=True)
class FittedProbe:
    """A probe that has been fitted."""

    model: SoftmaxRegression
    features: Features
    width: int
    """Number of features."""
    validation_kl: float
    """KL on the validation split, in nats."""

    @classmethod
    def fit(cls, inputs: BaselineInputs) -> "FittedProbe":
        """Fit the regression on the training split, with the penalty that validation chooses.

        Raises:
            InputError: There are no features, or no items of one of the two splits.
        """
        if inputs.features is None:
            raise InputError("there is no policy whose features it could look at", where="probe")
        train = _examples(inputs.train, "train", inputs.features)
        validation = _examples(inputs.validation, "validation", inputs.features)
        model = best_fit(train, validation)
        return cls(model, inputs.features, train.features.shape[1], model.kl(validation))

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        """The probe's answers to the items."""
        dists = torch.softmax(self.model.logits(self.features(inputs.items)), dim=-1).tolist()
        predictions = [predict_one(i, tuple(dist)) for i, dist in zip(inputs.items, dists, strict=True)]
        meaning = (
            f"soft-label regression on {self.width} features ({self.features.meaning}), "
            f"L2 {self.model.l2:.3g} of {len(L2_GRID)} by KL on {len(inputs.validation)} validation items "
            f"({self.validation_kl:.4f} nats)"
        )
        return BaselineResult(predictions, meaning, tuple(_notes(self.model, inputs.items[0].split)))


def _examples(items: Sequence[Item], split: Split, features: Features) -> Examples:
    if not items:
        raise InputError(f"there is no {split} item, and it needs some", where="probe")
    if strays := [item for item in items if item.split != split]:
        raise InputError(f"item {strays[0].id} is of split {strays[0].split}, not {split}", where="probe")
    target = torch.tensor([item.label_dist for item in items], dtype=torch.float64)
    return Examples(features(items), target)


def _notes(model: SoftmaxRegression, split: Split) -> Iterator[str]:
    if model.l2 in (L2_GRID[0], L2_GRID[-1]):
        yield f"the L2 penalty chosen, {model.l2:g}, is at the end of those tried"
    if not model.converged:
        yield f"the fit with L2 {model.l2:g} stopped short of its minimum"
    if split in SEEN:
        yield SEEN[split]
