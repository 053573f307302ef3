"""The true distribution as a prediction: q against a panel drawn from q (SPEC 3)."""

from collections.abc import Sequence

from lalm_ambig.baselines.floor import drawn_predictions, fitted_alpha, panels, smoothed_votes, vote_counts
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.types import Item


def oracle(items: Sequence[Item], *, alpha: float | None = None, seed: int = 0) -> list[Prediction]:
    """One draw of a panel an item as the target, and q as its prediction.

    Nothing beats it in expectation on Brier and KL; on JS and BC, which are not proper scores, a sharpened q
    can pass it slightly. The targets are those of `panel` with the same seed. `alpha` as there.
    """
    votes = vote_counts(items)
    alpha = fitted_alpha(votes) if alpha is None else alpha
    return drawn_predictions(
        items, panels(votes, alpha, seed=seed)(), predicted_dist=smoothed_votes(votes, alpha)
    )
