"""Ranks, and the same cells in Markdown, LaTeX, CSV and HTML."""

import csv
import io

import pytest

from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow, ranked
from lalm_ambig.tabular.writers import html, latex, markdown, to_csv

LOW, HIGH = Column("js", "JS ↓", higher_is_better=False), Column("bc", "BC ↑", higher_is_better=True)


def lines(*rows: tuple[str, float | None, float | None]) -> list[TableRow]:
    return [TableRow((name,), (Cell(js), Cell(bc))) for name, js, bc in rows]


def ranks(found: list[TableRow]) -> list[tuple[int, ...]]:
    return [tuple(cell.rank for cell in line.cells) for line in found]


def sheet(*shown: TableRow) -> ResultTable:
    caption = ("5 % of <items>",)
    return ResultTable(("method",), (LOW, HIGH), shown, caption, stem="t", title="A_b & c")


def test_the_best_and_the_second_follow_each_metrics_direction() -> None:
    rows = lines(("a", 0.3, 0.9), ("b", 0.1, 0.7), ("c", 0.2, 0.8))
    assert ranks(ranked(rows, (LOW, HIGH), among=range(3))) == [(0, 1), (1, 0), (2, 2)]


def test_values_that_look_equal_share_a_rank_and_gaps_have_none() -> None:
    rows = lines(("a", 0.1001, None), ("b", 0.0999, 0.5), ("c", 0.2, float("nan")), ("d", 0.3, None))
    assert ranks(ranked(rows, (LOW, HIGH), among=range(4))) == [(1, 0), (1, 0), (2, 0), (0, 0)]


def test_lines_that_are_not_among_those_ranked_take_no_rank_from_the_others() -> None:
    rows = lines(("bound", 0.01, 0.99), ("a", 0.3, 0.5), ("b", 0.2, 0.6))
    assert ranks(ranked(rows, (LOW, HIGH), among=(1, 2))) == [(0, 0), (2, 2), (1, 1)]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (Cell(), "–"),
        (Cell(float("inf")), "–"),
        (Cell(0.12345), "0.123"),
        (Cell(0.5, 0.4, 0.61), "0.500 (0.400–0.610)"),
        (Cell(0.5, spread=0.02), "0.500 ± 0.020"),
        (Cell(0.5, 0.4, 0.6, change=-0.123), "0.500 (0.400–0.600) [-12.3%]"),
        (Cell(text="as printed"), "as printed"),
    ],
)
def test_a_cell_says_its_value_and_how_sure_it_is(cell: Cell, text: str) -> None:
    assert cell.written() == text


def test_latex_marks_ranks_numbers_footnotes_and_escapes_everything_else() -> None:
    shown = sheet(
        TableRow(("x_1 & 100% {y}",), (Cell(0.1, rank=1, notes=("n#1",)), Cell(0.2, 0.1, 0.3, rank=2))),
        TableRow(("gap",), (Cell(notes=("other",)), Cell(notes=("n#1",)))),
    )
    text = latex(shown)
    assert (
        r"x\_1 \& 100\% \{y\} & \textbf{0.100}\textsuperscript{1} & \underline{0.200 (0.100--0.300)} \\"
        in text
    )
    assert r"gap & --\textsuperscript{2} & --\textsuperscript{1} \\" in text
    assert r"\textsuperscript{1} n\#1" in text
    assert r"\caption{A\_b \& c}" in text
    assert r"method & JS $\downarrow$ & BC $\uparrow$ \\" in text
    assert r"5 \% of \textless{}items\textgreater{}" in text
    assert text.count(r"\begin") == text.count(r"\end") == 2


def test_a_row_of_latex_never_begins_with_a_bracket() -> None:
    """Behind a line break it would be read as its optional argument."""
    assert latex(sheet(TableRow(("[a]",), (Cell(0.1), Cell(0.2))))).count(r"{[}a{]} & 0.100") == 1


def test_markdown_and_html_show_ranks_and_escape_names() -> None:
    shown = sheet(TableRow(("a|b <i>",), (Cell(0.1, rank=1), Cell(0.2, rank=2)), ("why",)))
    assert "| a\\|b &lt;i&gt;<sup>1</sup> | **0.100** | <u>0.200</u> |" in markdown(shown)
    assert "<sup>1</sup> why" in markdown(shown)
    assert "<th>a|b &lt;i&gt;<sup>1</sup></th><td><b>0.100</b></td><td><u>0.200</u></td>" in html(shown)


def test_csv_has_the_numbers_unrounded_and_gaps_empty() -> None:
    shown = sheet(
        TableRow(("a",), (Cell(0.123456, 0.1, 0.2), Cell(0.5, spread=0.01))),
        TableRow(("b",), (Cell(), Cell(text="0.50 (+1%)")), ("missing",)),
    )
    first, second = csv.DictReader(io.StringIO(to_csv(shown)))
    assert (first["js"], first["js_low"], first["js_high"], first["js_sd"]) == ("0.123456", "0.1", "0.2", "")
    assert (first["bc"], first["bc_sd"], first["notes"]) == ("0.5", "0.01", "")
    assert (second["js"], second["bc"], second["notes"]) == ("", "0.50 (+1%)", "missing")
    assert "js_change" not in first
