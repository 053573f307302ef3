"""Mean probability of the model's largest class ŷ against the mean share of people who chose ŷ, per bin of p̂(ŷ)."""

from collections.abc import Iterator, Sequence

import torch
from matplotlib.axes import Axes
from torch import Tensor

from lalm_ambig.core.distributions import majority
from lalm_ambig.evaluation.breakdowns import ScoredItems
from lalm_ambig.metrics.calibration import BINS
from lalm_ambig.reporting.drawing.canvas import COLOURS, Drawing, head, seed_colour, small_multiples
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

TITLE = "Reliability of the top class"
CAPTION = (
    f"Items in {BINS} equal bins of p̂ of the model's largest class ŷ: mean p̂(ŷ) against the mean share of people who "
    "chose ŷ; the area of a dot is the number of items. On the diagonal the model is as sure as people are. ECE is "
    "ece_human, the mean distance from it."
)
SEEDS = "ECE is the mean of each seed's, a thin line is a seed, and dots are means over all of them"


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus, with a panel per line of the report."""
    return (_drawing(group) for group in report.groups)


def _drawing(group: Group) -> Drawing:
    found = [line_answers(line) for line in shown_lines(group)]
    figure, axes = small_multiples(len(found))
    for ax, answers in zip(axes, found, strict=True):
        _panel(ax, [seed.scored for seed in answers.seeds])
        ax.set_title(f"{titled(answers, found)}\n{_ece(answers)}")
    figure.supxlabel("mean p̂(ŷ) of the top class [0, 1]", fontsize=9)
    figure.supylabel("share of people who chose ŷ [0, 1]", fontsize=9)
    title = head(figure, f"{TITLE}, {group.title}", counted(found))
    caption = CAPTION + seeds_note(found, SEEDS) + not_shown(group)
    return Drawing(stem_of("reliability", group.dataset), title, caption, figure)


def _ece(answers: LineAnswers) -> str:
    ece, seeds = answers.interval("ece_human"), over_seeds(answers)
    return "" if ece is None else f"ECE {ece.value:.3f}" + (f" ({seeds})" if seeds else "")


def _bins(seeds: Sequence[ScoredItems]) -> tuple[list[Tensor], Tensor]:
    """The bins that have answers: mean p̂(ŷ) and mean share of people of each, and its number of answers."""
    predicted, target = (
        torch.cat([getattr(seed, name) for seed in seeds]) for name in ("predicted_dist", "label_dist")
    )
    top = majority(predicted).unsqueeze(-1)
    sure, people = predicted.gather(-1, top)[:, 0], target.gather(-1, top)[:, 0]
    index = (sure * BINS).long().clamp(0, BINS - 1)
    counts = torch.bincount(index, minlength=BINS)
    filled = counts > 0
    sums = [torch.bincount(index, weights=weights, minlength=BINS)[filled] for weights in (sure, people)]
    return [total / counts[filled] for total in sums], counts[filled]


def _panel(ax: Axes, seeds: Sequence[ScoredItems]) -> None:
    means, counts = _bins(seeds)
    ax.plot([0, 1], [0, 1], color="#888888", linestyle="--", linewidth=1)
    for at, seed in enumerate(seeds if len(seeds) > 1 else ()):
        colour = seed_colour(at, len(seeds))
        ax.plot(
            *(m.tolist() for m in _bins([seed])[0]),
            color=colour,
            linewidth=0.8,
            marker=".",
            markersize=4,
            zorder=3,
        )
    ax.plot(*(m.tolist() for m in means), color=COLOURS[0], linewidth=0.8)
    ax.scatter(
        *(m.tolist() for m in means),
        s=(counts / counts.sum() * 400).clamp_min(4).tolist(),
        color=COLOURS[0],
        alpha=0.8,
        edgecolors="white",
        clip_on=False,
    )
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(-0.03, 1.03)
    ax.set_aspect("equal")
