"""The true distribution as a prediction: q, scored against a panel drawn from it.

`floor` defines q. That the target is a drawn panel, and not the votes, is our decision.
"""

from collections.abc import Sequence

from lalm_ambig.baselines.annotators import check_together
from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult
from lalm_ambig.baselines.floor import (
    alpha_text,
    checked_votes,
    drawn_predictions,
    fit_alpha,
    panel_sampler,
    smoothed_votes,
    vote_counts,
)
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def oracle(items: Sequence[Item], *, alpha: float | None = None, seed: int = 0) -> list[Prediction]:
    """Draw a panel per item as the target, and predict it by q.

    No prediction is better in expectation on Brier and KL. JS and BC are not proper scores: a sharpened q can pass it
    there slightly.

    Args:
        items: The items; the `votes` of their predictions stay the item's.
        alpha: α of q; None fits it on these items.
        seed: Seed of the panels. The targets are those of `panel` with the same seed.
    """
    votes = vote_counts(items)
    alpha = fit_alpha(votes) if alpha is None else alpha
    return drawn_predictions(
        items, panel_sampler(votes, alpha, seed=seed)(), predicted_dist=smoothed_votes(votes, alpha)
    )


class Oracle(Baseline):
    """`oracle` with the α of the whole corpus."""

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        check_together(inputs.items, "oracle")
        alpha = fit_alpha(checked_votes(inputs.votes))
        meaning = f"q against a panel drawn from it, α {alpha_text(alpha)} of the whole corpus"
        note = "unbeatable in expectation for Brier and KL; on JS and BC a sharpened q can pass it slightly"
        return BaselineResult(oracle(inputs.items, alpha=alpha, seed=inputs.seed), meaning, (note,))
