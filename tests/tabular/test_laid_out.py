"""A run's table takes the width that there is: intervals beside their values from 110 columns on."""

import io

import pytest
from rich.console import Console

from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import laid_out

LABELS = ("JS (base 2) ↓", "BC ↑", "R² (item) ↑", "Brier (mean) ↓", "Acc. ↑")
CAPTION = "demo, validation split, 40 items; logits readout, direct reasoning; 95% intervals over 4 speakers."
TABLE = ResultTable(
    ("method",),
    tuple(Column(label, label) for label in LABELS),
    tuple(
        TableRow((name,), tuple(Cell(n + 0.123, 0.101, 0.201) for n in range(5)))
        for name in ("uniform", "trained")
    ),
    (CAPTION,),
)


def printed(width: int) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(*laid_out(console, TABLE))
    return console.export_text()


@pytest.mark.parametrize("width", [110, 113, 120, 160])
def test_intervals_are_beside_their_values_in_a_wide_console(width: int) -> None:
    lines = printed(width).splitlines()
    row = next(line for line in lines if "trained" in line)
    assert row.count("(0.101–0.201)") == 5 and "…" not in row
    assert all(len(line) <= width for line in lines)


def test_columns_have_two_spaces_between_them_where_there_is_room() -> None:
    assert "0.123 (0.101–0.201)  1.123" in printed(120)
    assert "0.123 (0.101–0.201) 1.123" in printed(110)


def test_intervals_are_below_their_values_in_80_columns() -> None:
    lines = printed(80).splitlines()
    at = next(n for n, line in enumerate(lines) if "trained" in line)
    assert "(" not in lines[at] and lines[at + 1].count("0.101–0.201") == 5


@pytest.mark.parametrize("width", [40, 50, 60])
def test_a_narrow_console_has_it_in_parts_of_which_no_number_is_cut(width: int) -> None:
    text = printed(width)
    assert "…" not in text
    assert all(text.count(f"{n}.123") == 2 for n in range(5)) and text.count("0.101–0.201") == 10


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_caption_is_once_and_in_the_whole_width(width: int) -> None:
    text = printed(width)
    assert " ".join(text.split()).endswith(CAPTION) and text.count("demo,") == 1
    assert len(text[text.index("demo,") :].strip().splitlines()) == -(-len(CAPTION) // width)
