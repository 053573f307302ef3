"""A table that is too wide for a terminal is printed in parts, of which no number is cut."""

import io

import pytest
from rich.console import Console

from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import fitting

NAMES = ("a", "a method with a long name, of which one line has only a part")
COLUMNS = tuple(Column(f"c{n}", f"column {n}") for n in range(7))
TABLE = ResultTable(
    ("method",),
    COLUMNS,
    tuple(TableRow((name,), tuple(Cell(n + 0.123, spread=0.045) for n in range(7))) for name in NAMES),
    ("The caption.",),
)


def printed(width: int, columns: int = 4) -> tuple[str, int]:
    console = Console(width=width, file=io.StringIO(), record=True)
    parts = fitting(console, TABLE, columns)
    console.print(*parts)
    return console.export_text(), len(parts)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_every_number_is_whole_and_stands_once_per_row(width: int) -> None:
    text, _ = printed(width)
    assert "…" not in text
    for n in range(7):
        assert text.count(f"{n}.123 ± 0.045") == 2
    assert text.count("The caption.") == 1 and text.rstrip().endswith("The caption.")


def test_it_is_in_one_piece_where_it_fits_and_ends_a_part_after_the_columns_that_belong_together() -> None:
    assert printed(200)[1] == 1
    assert printed(130, columns=6)[1] == 2
    assert [printed(80)[1], printed(40)[1]] == [3, 7]
