"""Entropy of the prediction p̂ against that of the label distribution p, per item, both normalised to [0, 1].

It shows whether a model is uncertain where people disagree.
"""

import math
from collections.abc import Iterator

from matplotlib.axes import Axes

from lalm_ambig.core.distributions import normalised_entropy
from lalm_ambig.reporting.drawing.canvas import Drawing, head, seed_colour, small_multiples
from lalm_ambig.reporting.drawing.item_groups import (
    LineAnswers,
    counted,
    line_answers,
    not_shown,
    over_seeds,
    seeds_note,
    shown_lines,
    titled,
)
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of

TITLE = "Entropy of people's and of the model's distribution"
CAPTION = (
    "Each dot is an item; entropies are divided by that of the uniform distribution. r: entropy_correlation (Pearson) "
    "with its 95 % interval. Below the diagonal the model is more certain than people are."
)
SEEDS = (
    "r is the mean of each seed's, its interval allows for other seeds, and an item has a dot for each seed, in the "
    "seed's colour"
)


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus, with a panel per line of the report."""
    return (_drawing(group) for group in report.groups)


def _drawing(group: Group) -> Drawing:
    found = [line_answers(line) for line in shown_lines(group)]
    figure, axes = small_multiples(len(found))
    for ax, answers in zip(axes, found, strict=True):
        _dots(ax, answers)
        ax.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
        name = ", ".join(filter(None, (titled(answers, found), over_seeds(answers))))
        ax.set_title(f"{name}\n{_correlation(answers)}")
        ax.set_xlim(-0.03, 1.03)
        ax.set_ylim(-0.03, 1.03)
        ax.set_aspect("equal")
    figure.supxlabel("normalised entropy of people's p [0, 1]", fontsize=9)
    figure.supylabel("normalised entropy of p̂ [0, 1]", fontsize=9)
    title = head(figure, f"{TITLE}, {group.title}", counted(found))
    caption = CAPTION + seeds_note(found, SEEDS) + not_shown(group)
    return Drawing(stem_of("entropy", group.dataset), title, caption, figure)


def _dots(ax: Axes, answers: LineAnswers) -> None:
    alpha = 0.6 if sum(len(seed.ids) for seed in answers.seeds) < 500 else 0.3
    for at, seed in enumerate(answers.seeds):
        people, model = (
            normalised_entropy(dist).tolist() for dist in (seed.scored.label_dist, seed.scored.predicted_dist)
        )
        colour = seed_colour(at, len(answers.seeds))
        ax.scatter(people, model, s=8, color=colour, alpha=alpha, linewidths=0)


def _correlation(answers: LineAnswers) -> str:
    found = answers.interval("entropy_correlation")
    if found is None or math.isnan(found.value):
        return "r not defined: no variation"
    known = found.low is not None and found.high is not None
    numbers = [f"{value:z.2f}" for value in (found.value, found.low, found.high) if value is not None]
    return f"r = {numbers[0]}{' ({1} to {2})'.format(*numbers) if known else ''}".replace("-", "−")
