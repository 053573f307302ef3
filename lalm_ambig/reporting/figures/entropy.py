"""Entropy of the prediction p̂ against that of the label distribution p, per item, both normalised to [0, 1].

It shows whether a model is uncertain where people disagree.
"""

import math
from collections.abc import Iterator

from lalm_ambig.core.distributions import normalised_entropy
from lalm_ambig.evaluation.intervals import Interval
from lalm_ambig.reporting.drawing.canvas import COLOURS, Drawing, small_multiples
from lalm_ambig.reporting.drawing.item_groups import not_shown, scored, shown_lines
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of

TITLE = "Entropy of people's and of the model's distribution"
CAPTION = (
    "Each dot is an item; entropies are divided by that of the uniform distribution. r: entropy_correlation (Pearson) "
    "with its 95 % interval. Below the diagonal the model is more certain than people are."
)


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus, with a panel per line of the report."""
    return (_drawing(group) for group in report.groups)


def _drawing(group: Group) -> Drawing:
    lines = shown_lines(group)
    figure, axes = small_multiples(len(lines))
    items = 0
    for ax, line in zip(axes, lines, strict=True):
        answers, _ = scored(line)
        items = len(answers.label_dist)
        people, model = normalised_entropy(answers.label_dist), normalised_entropy(answers.predicted_dist)
        alpha = 0.6 if items < 500 else 0.3
        ax.scatter(people.tolist(), model.tolist(), s=8, color=COLOURS[0], alpha=alpha, linewidths=0)
        ax.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
        found = answers.intervals(["entropy_correlation"])["entropy_correlation"]
        ax.set_title(f"{line.label}\n{_correlation(found)}")
        ax.set_xlim(-0.03, 1.03)
        ax.set_ylim(-0.03, 1.03)
        ax.set_aspect("equal")
    figure.supxlabel("normalised entropy of people's p [0, 1]", fontsize=9)
    figure.supylabel("normalised entropy of p̂ [0, 1]", fontsize=9)
    title = f"{TITLE}, {group.title}, {items} items"
    figure.suptitle(title)
    return Drawing(stem_of("entropy", group.dataset), title, CAPTION + not_shown(group), figure)


def _correlation(found: Interval) -> str:
    if math.isnan(found.value):
        return "r not defined: no variation"
    known = found.low is not None and found.high is not None
    numbers = [f"{value:z.2f}" for value in (found.value, found.low, found.high) if value is not None]
    return f"r = {numbers[0]}{' ({1} to {2})'.format(*numbers) if known else ''}".replace("-", "−")
