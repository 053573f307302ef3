"""The counts of the data page: splits by class, what two annotators of an item say, copies, clipping."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, majority, normalised_entropy
from lalm_ambig.core.items import SPLITS
from lalm_ambig.corpora.preparing.prepared import Prepared
from lalm_ambig.reporting.data_page.sample import Copies

MOST_GROUPS = 30
"""Groups of copies that are listed; all are counted."""
MOST_IN_GROUP = 8
"""Ids of one group that are listed."""


@dataclass(frozen=True)
class PlainTable:
    """A table of texts, the first cell of each row being its name."""

    title: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    caption: str = ""


def split_table(prepared: Prepared) -> PlainTable:
    """Items of each split: how many, their mean normalised entropy, and shares of levels and majority classes."""
    votes = prepared.items().votes().double()
    label_dist = votes / votes.sum(-1, keepdim=True)
    splits = prepared.table.column("split").to_pylist()
    names = prepared.categories.names
    rows = []
    for name in (*SPLITS, "all"):
        chosen = torch.tensor([name in (split, "all") for split in splits])
        if count := int(chosen.sum()):
            some = label_dist[chosen]
            levels = _shares(ambiguity_level(some), len(AMBIGUITY_LEVELS))
            classes = _shares(majority(votes[chosen]), len(names))
            mean = f"{float(normalised_entropy(some).mean()):.3f}"
            rows.append((name, f"{count:,}", mean, *levels, *classes))
        else:
            rows.append((name, "0", "–", *["–"] * (len(AMBIGUITY_LEVELS) + len(names))))
    heads = ("", "items", "mean entropy", *(f"{level} ambiguity" for level in AMBIGUITY_LEVELS), *names)
    return PlainTable(
        "Splits", heads, rows, "Shares of a split's items. A class has the items in which it has most votes."
    )


def _shares(kinds: Tensor, count: int) -> list[str]:
    counted = torch.bincount(kinds, minlength=count)
    return [f"{share:.1%}" for share in (counted / counted.sum()).tolist()]


def pair_shares(
    votes: Float[Tensor, "item category"],
) -> tuple[Float[Tensor, "category category"], int]:
    r"""The share of pairs of annotators of one item of whom the first says $c$ and the second $d$, without bias.

    $$J_{cd} = \frac{1}{n} \sum_i \frac{m_{ic} m_{id} - [c = d] \, m_{ic}}{N_i (N_i - 1)}$$

    The sum is over the items with at least two votes. $1 - \sum_c J_{cc}$ is the disagreement.

    Args:
        votes: Votes of each item.

    Returns:
        $J$, which sums to 1, and the number of its items; zeros where there are none. Where any vote is no whole
        number, there are none: annotators then share votes between classes, and whole numbers may be shared, too.

    >>> pair_shares(torch.tensor([[2.0, 0.0], [1.0, 1.0]]))[0].tolist()
    [[0.5, 0.25], [0.25, 0.0]]
    """
    votes = votes.double()
    sizes = votes.sum(-1)
    chosen = (sizes >= 2) & (votes == votes.round()).all()
    counts, sizes = votes[chosen], sizes[chosen]
    if not len(counts):
        return torch.zeros(votes.shape[-1], votes.shape[-1], dtype=torch.float64), 0
    pairs = torch.einsum("ic,id->icd", counts, counts) - torch.diag_embed(counts)
    return (pairs / (sizes * (sizes - 1))[:, None, None]).mean(0), len(counts)


def pair_table(prepared: Prepared) -> PlainTable | None:
    """What a second annotator says where a first one says a class; None where nothing tells."""
    pairs, items = pair_shares(prepared.items().votes())
    if not items:
        return None
    names = prepared.categories.names
    rows = []
    for name, row in zip(names, pairs, strict=True):
        said = float(row.sum())
        rows.append((name, f"{said:.1%}", *(f"{float(cell) / said:.0%}" if said else "–" for cell in row)))
    caption = (
        f"A row is what one annotator says, a column what another says of the same item, in percent of the row; "
        f"{items:,} items with at least two votes. Two annotators differ in {1 - float(pairs.trace()):.1%}."
    )
    return PlainTable("What a second annotator says", ("", "said", *names), rows, caption)


def copy_table(copies: Copies, splits: dict[str, str], *, sound: bool) -> PlainTable:
    """Groups of items that hold the same clip or text; those that lie in several splits come first."""
    groups = {tuple(sorted((name, *others))) for name, others in copies.items()}
    across = [group for group in groups if len({splits[name] for name in group}) > 1]
    ordered = sorted(groups, key=lambda group: (group not in across, -len(group), group))
    rows = [(_listed(group), _by_split(group, splits)) for group in ordered[:MOST_GROUPS]]
    compared = "clips by their sound, texts" if sound else "texts of items without sound"
    caption = (
        f"{sum(map(len, groups)):,} items in {len(groups):,} groups, {len(across):,} of them in several splits. "
        f"Compared were {compared} by their words."
    )
    if not sound:
        caption += " With --check-audio clips are compared, too."
    return PlainTable("Copies", ("items", "splits"), rows, caption)


def _listed(group: Sequence[str]) -> str:
    more = len(group) - MOST_IN_GROUP
    return ", ".join(group[:MOST_IN_GROUP]) + (f" and {more:,} more" if more > 0 else "")


def _by_split(group: Sequence[str], splits: dict[str, str]) -> str:
    counts = Counter(splits[name] for name in group)
    return ", ".join(f"{counts[split]} {split}" for split in SPLITS if counts[split])


def floor_table(summary: Mapping[str, Any], metrics: Mapping[str, str]) -> PlainTable | None:
    """The noise floor: scores of a second panel of annotators, and of their true distribution; None if unknown.

    Args:
        summary: As `summarise` returns it.
        metrics: Names of metrics → their heads.
    """
    floor = summary["noise_floor"]
    if floor is None:
        return None
    rows = []
    for name in ("panel", "oracle"):
        values = (floor[name][metric] for metric in metrics)
        rows.append((name, *("–" if value is None else f"{value:.4f}" for value in values)))
    caption = "panel: a second group of annotators against the first; oracle: the true distribution."
    return PlainTable("Noise floor", ("", *metrics.values()), rows, caption)
