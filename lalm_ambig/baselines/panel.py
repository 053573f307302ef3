"""Another group of people as a prediction: a panel drawn from q against a panel drawn from q (SPEC 3)."""

from collections.abc import Sequence

from lalm_ambig.baselines.base import Baseline, BaselineInputs, BaselineResult
from lalm_ambig.baselines.floor import checked_votes, drawn_predictions, fit_alpha, panel_sampler, vote_counts
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.predictions import Prediction


def panel(items: Sequence[Item], *, alpha: float | None = None, seed: int = 0) -> list[Prediction]:
    """One draw of two panels an item: the first is the target, the second predicts it.

    `label_dist` is a drawn panel's and not the votes', because q is made from those votes and would be
    flattered by them; `votes` stay the item's own. `alpha` is fitted on these items unless that of the whole
    corpus is given.
    """
    votes = vote_counts(items)
    draw = panel_sampler(votes, fit_alpha(votes) if alpha is None else alpha, seed=seed)
    return drawn_predictions(items, draw(), predicted_dist=draw())


class Panel(Baseline):
    """`panel` as a row, with the α of the whole corpus (SPEC 3)."""

    def answer(self, known: BaselineInputs) -> BaselineResult:
        alpha = fit_alpha(checked_votes(known.votes))
        meaning = f"one panel of annotators drawn from q against another, α {alpha:.3f} of the whole corpus"
        return BaselineResult(panel(known.items, alpha=alpha, seed=known.seed), meaning)
