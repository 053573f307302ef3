"""Mean probability of the model's largest class ŷ against the mean share of people who chose ŷ, per bin of p̂(ŷ)."""

from collections.abc import Iterator

import torch
from matplotlib.axes import Axes

from lalm_ambig.core.distributions import majority
from lalm_ambig.evaluation.breakdowns import ScoredItems
from lalm_ambig.metrics.calibration import BINS
from lalm_ambig.reporting.drawing.canvas import COLOURS, Drawing, small_multiples
from lalm_ambig.reporting.drawing.item_groups import not_shown, scored, shown_lines
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of

TITLE = "Reliability of the top class"
CAPTION = (
    f"Items in {BINS} equal bins of p̂ of the model's largest class ŷ: mean p̂(ŷ) against the mean share of people who "
    "chose ŷ; the area of a dot is the number of items. On the diagonal the model is as sure as people are. ECE is "
    "ece_human, the mean distance from it."
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
        _panel(ax, answers)
        ece = answers.intervals(["ece_human"])["ece_human"].value
        ax.set_title(f"{line.label}\nECE {ece:.3f}")
    figure.supxlabel("mean p̂(ŷ) of the top class [0, 1]", fontsize=9)
    figure.supylabel("share of people who chose ŷ [0, 1]", fontsize=9)
    title = f"{TITLE}, {group.title}, {items} items"
    figure.suptitle(title)
    return Drawing(stem_of("reliability", group.dataset), title, CAPTION + not_shown(group), figure)


def _panel(ax: Axes, answers: ScoredItems) -> None:
    top = majority(answers.predicted_dist).unsqueeze(-1)
    sure = answers.predicted_dist.gather(-1, top)[:, 0]
    people = answers.label_dist.gather(-1, top)[:, 0]
    index = (sure * BINS).long().clamp(0, BINS - 1)
    counts = torch.bincount(index, minlength=BINS)
    filled = counts > 0
    means = [
        torch.bincount(index, weights=w, minlength=BINS)[filled] / counts[filled] for w in (sure, people)
    ]
    ax.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
    ax.plot(*(m.tolist() for m in means), color=COLOURS[0], linewidth=0.8)
    ax.scatter(
        *(m.tolist() for m in means),
        s=(counts[filled] / counts.sum() * 400).clamp_min(4).tolist(),
        color=COLOURS[0],
        alpha=0.8,
        edgecolors="white",
        clip_on=False,
    )
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(-0.03, 1.03)
    ax.set_aspect("equal")
