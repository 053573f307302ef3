"""The tables of a `results.md`, read back: for a run that has ended, whose numbers are not computed again."""

import re
from collections.abc import Sequence

from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

BAR = re.compile(r"(?<!\\)\|")
"""The end of a cell; a bar inside of one has a backslash before it."""
BOLD = re.compile(r"\*\*(.*)\*\*")
RULE = re.compile(r"\|( ?-+:? ?\|)+")


def tables_of(text: str) -> list[ResultTable | str]:
    """The tables in a text that `writers.plain_markdown` wrote, and the text between them.

    Returns:
        Each table, and each other block as it is, in order.
    """
    parts: list[ResultTable | str] = []
    for block in re.split(r"\n(?=\|.*\n\|[ :|-]+\n)", f"\n{text.strip()}"):
        lines = block.strip().splitlines()
        if len(lines) > 1 and RULE.fullmatch(lines[1]):
            parts.append(_table(lines))
        elif block.strip():
            parts.append(block.strip())
    return parts


def _table(lines: Sequence[str]) -> ResultTable:
    piped = [line for line in lines if line.startswith("|")]
    head, rule, *rows = (_texts(line) for line in piped)
    names = sum(not text.endswith(":") for text in rule)
    grouped = any(not row[0] for row in rows)
    ends = {n for n, following in enumerate(rows[1:]) if following[0]} if grouped else set[int]()
    return ResultTable(
        tuple(head[:names]),
        tuple(Column(label, label) for label in head[names:]),
        tuple(TableRow(tuple(row[:names]), tuple(map(_cell, row[names:]))) for row in rows),
        tuple(line for line in lines[len(piped) :] if line.strip()),
        frozenset(ends),
    )


def _texts(line: str) -> list[str]:
    return [text.strip().replace("\\|", "|") for text in BAR.split(line)[1:-1]]


def _cell(text: str) -> Cell:
    bold = BOLD.fullmatch(text)
    return Cell(text=bold[1], rank=1) if bold else Cell(text=text)
