"""JS against the number of annotators an item: the same answers, scored against fewer of the votes that there are.

It shows how much of a score is the annotators' sampling noise, and how many of them a test set needs. Each target is a
draw of n of an item's votes without replacement. The floor at n is that of `oracle` and `panel`: the true
distribution, and a second panel of n, scored against n votes drawn from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.ticker import NullLocator
from torch import Tensor

from lalm_ambig.baselines.floor import fit_alpha, smoothed_votes
from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.reporting.drawing.canvas import COLOURS, MARKERS, Drawing, axis_label, canvas, head
from lalm_ambig.reporting.drawing.item_groups import (
    LineAnswers,
    counted,
    line_answers,
    not_shown,
    seeds_note,
    shown_lines,
    titled,
)
from lalm_ambig.reporting.reading.groups import Group
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.writing.files import stem_of
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

TITLE = "Scores against fewer annotators"
METRIC = "js_div_bits"
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 75, 100)
DRAWS = 20
"""Targets drawn per item and number of votes."""
SHARE_OF_ITEMS = 0.95
"""Share of the items that have the largest number of votes shown; the others are left out."""
SEEDS = "a score is the mean over seeds"
CLOSE = 0.005
"""A score so near the one with most votes is called the same."""
Curve = Mapping[int, float]


def drawings(report: Report) -> Iterator[Drawing]:
    """Draw one figure per corpus whose votes are whole, and where items have several."""
    for group in report.groups:
        votes = line_answers(group.lines[0]).seeds[0].votes
        counts = _counts(votes)
        if len(counts) > 1 and bool((votes == votes.round()).all()):
            yield _drawing(group, counts)


def _counts(votes: Float[Tensor, "item category"]) -> list[int]:
    """The numbers of votes that nearly all items have."""
    most = float(torch.quantile(votes.sum(-1), 1 - SHARE_OF_ITEMS))
    return [count for count in COUNTS if count <= most]


def _drawing(group: Group, counts: Sequence[int]) -> Drawing:
    given = [line_answers(line) for line in shown_lines(group)]
    found = [_voted(answers, counts[-1]) for answers in given]
    curves = {answers.line.label: _mean_scores(answers, counts) for answers in found}
    votes = line_answers(group.lines[0]).seeds[0].votes
    enough = votes.sum(-1) >= counts[-1]
    floor = _floor(votes[enough], counts)
    figure, (ax,) = canvas(1, 1, width=6.8, height=4.4)
    for at, (answers, curve) in enumerate(zip(found, curves.values(), strict=True)):
        ax.plot(
            *zip(*curve.items(), strict=True),
            color=COLOURS[at],
            marker=MARKERS[at],
            markersize=4,
            label=titled(answers, found),
        )
    for (label, curve), style in zip(floor.items(), ("--", ":"), strict=True):
        ax.plot(*zip(*curve.items(), strict=True), color="black", linestyle=style, linewidth=1, label=label)
    ax.set_xscale("log")
    ax.set_xticks(counts, list(map(str, counts)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("annotators an item")
    ax.set_ylabel(axis_label(METRIC))
    figure.legend(loc="outside lower center", ncols=4)
    title = head(figure, f"{TITLE}, {group.title}", counted(found))
    stem = stem_of("annotators", group.dataset)
    caption = _caption(curves, counts, left_out=int((~enough).sum()))
    caption += seeds_note(found, SEEDS) + not_shown(group)
    return Drawing(stem, title, caption, figure, _table(stem, title, {**curves, **floor}, counts))


def _voted(answers: LineAnswers, most: int) -> LineAnswers:
    """The items that have so many votes."""
    return answers.split(lambda votes: (votes.sum(-1) < most).long(), 1)[0]


def _mean_scores(answers: LineAnswers, counts: Sequence[int]) -> Curve:
    """The mean over seeds of `_scores`; every seed is scored against the same draws."""
    curves = [_scores(seed.votes, seed.scored.predicted_dist, counts) for seed in answers.seeds]
    return {count: fmean(curve[count] for curve in curves) for count in counts}


def _scores(
    votes: Float[Tensor, "item category"],
    predicted_dist: Float[Tensor, "item category"],
    counts: Sequence[int],
) -> Curve:
    """Mean JS of predictions against so many votes of each item, drawn without replacement."""
    rng, whole = np.random.default_rng(0), votes.long().numpy()
    found: dict[int, float] = {}
    for count in counts:
        total = 0.0
        for _ in range(DRAWS):
            drawn = np.stack([rng.multivariate_hypergeometric(row, count) for row in whole])
            total += float(js_divergence(torch.from_numpy(drawn / count), predicted_dist.double()).mean())
        found[count] = total / DRAWS
    return found


def _floor(votes: Float[Tensor, "item category"], counts: Sequence[int]) -> dict[str, dict[int, float]]:
    """The scores of the true distribution and of a second panel, against so many votes drawn from it."""
    rng, true_dist = np.random.default_rng(0), smoothed_votes(votes, fit_alpha(votes))
    found: dict[str, dict[int, float]] = {"panel": {}, "oracle": {}}
    for count in counts:
        panels = [
            torch.from_numpy(rng.multinomial(count, true_dist.numpy()) / count) for _ in range(2 * DRAWS)
        ]
        pairs = list(zip(panels[::2], panels[1::2], strict=True))
        found["panel"][count] = float(torch.stack([js_divergence(*pair).mean() for pair in pairs]).mean())
        oracle = [js_divergence(target, true_dist).mean() for target, _ in pairs]
        found["oracle"][count] = float(torch.stack(oracle).mean())
    return found


def _caption(curves: Mapping[str, Curve], counts: Sequence[int], *, left_out: int) -> str:
    """What was drawn, and from how many annotators on each score is the one with most of them."""
    enough = [
        f"{label} {next(count for count in counts if curve[count] - curve[counts[-1]] <= CLOSE)}"
        for label, curve in curves.items()
    ]
    dropped = f" {left_out} items with fewer than {counts[-1]} votes are left out." if left_out else ""
    return (
        f"Each point: the mean over items and {DRAWS} draws of that many of an item's votes. panel, oracle: a second "
        f"panel of that many, and the true distribution, against votes drawn from it. Within {CLOSE} of the score with "
        f"{counts[-1]} from so many annotators on: {', '.join(enough)}.{dropped}"
    )


def _table(stem: str, title: str, curves: Mapping[str, Curve], counts: Sequence[int]) -> ResultTable:
    columns = tuple(Column(str(count), f"{count} votes") for count in counts)
    rows = tuple(
        TableRow((label,), tuple(Cell(curve[count]) for count in counts)) for label, curve in curves.items()
    )
    return ResultTable(("row",), columns, rows, stem=stem, title=title)
