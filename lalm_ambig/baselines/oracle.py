"""The true distribution as a prediction: q against a panel drawn from q (SPEC 3)."""

from collections.abc import Sequence

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult
from lalm_ambig.baselines.floor import (
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
    """One draw of a panel an item as the target, and q as its prediction.

    Nothing beats it in expectation on Brier and KL; on JS and BC, which are not proper scores, a sharpened q
    can pass it slightly. The targets are those of `panel` with the same seed. `alpha` as there.
    """
    votes = vote_counts(items)
    alpha = fit_alpha(votes) if alpha is None else alpha
    return drawn_predictions(
        items, panel_sampler(votes, alpha, seed=seed)(), predicted_dist=smoothed_votes(votes, alpha)
    )


class Oracle(Baseline):
    """`oracle` as a row, with the α of the whole corpus (SPEC 3)."""

    def answer(self, known: BaselineInputs) -> BaselineResult:
        alpha = fit_alpha(checked_votes(known.votes))
        meaning = f"q against a panel drawn from it, α {alpha:.3f} of the whole corpus"
        note = "unbeatable in expectation for Brier and KL; on JS and BC a sharpened q can pass it slightly"
        return BaselineResult(oracle(known.items, alpha=alpha, seed=known.seed), meaning, (note,))
