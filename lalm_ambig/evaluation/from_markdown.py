"""Tables of a `results.md` as they were printed: for a run that has ended, whose numbers are not made again."""

import re

from rich.table import Table

from lalm_ambig.evaluation.grid import Cell, Grid

CELL = re.compile(r"(?<!\\)\|")
"""What parts two cells; a bar inside of one has a backslash before it."""
BOLD = re.compile(r"\*\*(.*)\*\*")
RULE = re.compile(r"\|( ?-+:? ?\|)+")


def tables_of(markdown: str) -> list[Table | str]:
    """Each table of a text that `Grid.markdown` wrote, for a terminal, with what stands between them."""
    found: list[Table | str] = []
    for block in re.split(r"\n(?=\|.*\n\|[ :|-]+\n)", f"\n{markdown.strip()}"):
        lines = block.strip().splitlines()
        if len(lines) > 1 and RULE.fullmatch(lines[1]):
            found.append(_grid(lines).rich(narrow=True))
        elif block.strip():
            found.append(block.strip())
    return found


def _grid(lines: list[str]) -> Grid:
    table = [line for line in lines if line.startswith("|")]
    head, rule, *rows = (_cells(line) for line in table)
    names = sum(not cell.endswith(":") for cell in rule)
    grouped = any(not row[0] for row in rows)
    ends = {n for n, following in enumerate(rows[1:]) if following[0]} if grouped else set[int]()
    caption = "\n".join(line for line in lines[len(table) :] if line.strip())
    return Grid(head, [[_cell(text) for text in row] for row in rows], caption, names, frozenset(ends))


def _cells(line: str) -> list[str]:
    return [text.strip().replace("\\|", "|") for text in CELL.split(line)[1:-1]]


def _cell(text: str) -> Cell:
    bold = BOLD.fullmatch(text)
    return Cell(bold[1], best=True) if bold else Cell(text)
