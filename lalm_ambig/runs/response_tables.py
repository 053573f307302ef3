"""Responses for people to read: numbers and distributions in a row, and the text below it in the whole width."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

READINGS = {
    "direct": "answered at once",
    "generated": "after reasoning of its own",
    "curated": "after curated reasoning",
}
"""Name of a reading → how the policy answered, in words."""
OTHERS = ("id", "response", "closed", "unparsed", "label_dist", "predicted_dist")
"""Fields of a sampled response that are no columns of numbers."""
FEWEST = 6
"""Characters of the narrowest column of numbers."""
LONGEST_ID = 24
INDENT = 2


def rollout_table(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...], *, step: int) -> Group:
    """The responses to one item: numbers and the policy's distribution after each, and the text below.

    Args:
        rows: Responses to one item, as `rollouts.jsonl` has them.
        names: The classes.
        step: Optimiser steps so far.
    """
    numbers = [name for name in rows[0] if name not in OTHERS]
    heads = {name: max(FEWEST, len(name)) for name in numbers}
    lines = [([f"{row[name]:.3f}" for name in numbers], [_read(row, names)], _text(row)) for row in rows]
    people = brief(rows[0]["label_dist"], names)
    return _stacked(
        f"rollouts at step {step}, item {rows[0]['id']}; people: {people}", heads, ["policy"], lines
    )


def sample_table(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> Group:
    """The samples of a validation: people's distribution, the policy's, and below them its text, if it wrote any.

    Args:
        rows: Responses, one per item, as `samples.jsonl` has them.
        names: The classes.
    """
    reading = str(rows[0]["reading"])
    wrote = reading != "direct"  # at once, every response is the same opening of the answer
    heads = {"item": min(LONGEST_ID, max(len(str(row["id"])) for row in rows))}
    lines = [
        (
            [str(row["id"])],
            [brief(row["label_dist"], names), _read(row, names)],
            _text(row) if wrote else None,
        )
        for row in rows
    ]
    title = f"validation samples at step {rows[0]['step']} ({READINGS.get(reading, reading)})"
    return _stacked(title, heads, ["people", "policy"], lines)


def _stacked(
    title: str,
    fixed: Mapping[str, int],
    wide: Sequence[str],
    lines: Sequence[tuple[Sequence[str], Sequence[str], Text | None]],
) -> Group:
    """Rows of one grid, each followed by a text.

    Args:
        title: Stands above.
        fixed: Head → width of the first columns.
        wide: Heads of the columns that share the rest of the width.
        lines: Cells of the first columns, of the others, and the text.
    """
    parts: list[RenderableType] = [Text(title, style="table.title")]
    grid = _grid(fixed, wide, heads=True)
    for number, (cells, dists, text) in enumerate(lines):
        if number and text is not None:
            grid = _grid(fixed, wide)
        grid.add_row(*map(Text, (*cells, *dists)))
        if text is not None:
            parts += [grid, Padding(text, (0, 0, 0, INDENT))]
    return Group(*parts) if lines[0][2] is not None else Group(*parts, grid)


def _grid(fixed: Mapping[str, int], wide: Sequence[str], *, heads: bool = False) -> Table:
    grid = Table(
        box=SIMPLE_HEAD,
        show_header=heads,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        expand=True,
    )
    for name, width in fixed.items():
        grid.add_column(name, width=width, overflow="fold", justify="left" if name == "item" else "right")
    for name in wide:
        grid.add_column(name, ratio=1, overflow="fold")
    return grid


def _read(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """The distribution that was read, or why none was."""
    return brief(row["predicted_dist"], names) if row["unparsed"] is None else f"unread: {row['unparsed']}"


def _text(row: Mapping[str, Any]) -> Text:
    return Text(str(row["response"]) + ("  (closed)" if row["closed"] else ""), style="dim", overflow="fold")


def brief(dist: Sequence[float], names: tuple[str, ...], *, above: float = 0.05) -> str:
    """Return a distribution as a line: the classes above a share, largest first.

    >>> brief([0.6, 0.04, 0.36], ("joy", "fear", "anger"))
    'joy 0.60, anger 0.36'
    """
    ranked = sorted(zip(dist, names, strict=True), reverse=True)
    return ", ".join(f"{name} {share:.2f}" for share, name in ranked if share >= above)
