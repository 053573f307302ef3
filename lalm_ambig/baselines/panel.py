"""A second group of annotators as a prediction: one panel drawn from q, scored against another.

`floor` defines q. That a panel is scored against a drawn panel, and not against the votes, is our decision.
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
    vote_counts,
)
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def panel(items: Sequence[Item], *, alpha: float | None = None, seed: int = 0) -> list[Prediction]:
    """Draw two panels per item: the first is the target, the second predicts it.

    The target is a drawn panel because q is estimated from the votes, and would score too well against them.

    Args:
        items: The items; the `votes` of their predictions stay the item's.
        alpha: α of q; None fits it on these items.
        seed: Seed of the panels.
    """
    votes = vote_counts(items)
    draw = panel_sampler(votes, fit_alpha(votes) if alpha is None else alpha, seed=seed)
    return drawn_predictions(items, draw(), predicted_dist=draw())


class Panel(Baseline):
    """`panel` with the α of the whole corpus."""

    def answer(self, inputs: BaselineInputs) -> BaselineResult:
        check_together(inputs.items, "panel")
        alpha = fit_alpha(checked_votes(inputs.votes))
        meaning = (
            f"one panel of annotators drawn from q against another, α {alpha_text(alpha)} of the whole corpus"
        )
        return BaselineResult(panel(inputs.items, alpha=alpha, seed=inputs.seed), meaning)
