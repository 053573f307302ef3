"""CSV: columns by name, every row with its line, and what is wrong with the file told apart from what is in a row."""

import csv
import io
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import NumberedRow, Table, is_missing, name_text, whole_number

HEADER = ["id", "text", "yes", "no"]
ROWS = [[f"i{n}", f"words {n}", str(n), "1"] for n in range(1, 6)]


def written(
    rows: Sequence[Sequence[str]], *, end: str = "\r\n", separator: str = ",", quoting: int = 0
) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=end, delimiter=separator, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return text.getvalue()


def lines_of(text: str) -> list[str]:
    """As a file with `newline=""` gives them."""
    return list(io.StringIO(text, newline=""))


def table(text: str, *, multi_line: bool = False) -> Table:
    return Table(lines_of(text), source="f.csv", multi_line=multi_line)


def read(text: str, *, multi_line: bool = False) -> tuple[list[NumberedRow], list[str]]:
    """The rows, and what was told of bad ones."""
    bad_rows = BadRows(skip=True)
    return list(table(text, multi_line=multi_line).rows(bad_rows)), bad_rows.lines


GOOD = written([HEADER, *ROWS])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_rows_have_the_line_that_they_begin_in(end: str, quoting: int) -> None:
    rows, bad = read(written([HEADER, *ROWS], end=end, quoting=quoting))
    assert rows == list(enumerate(ROWS, start=2))
    assert not bad


def test_blank_rows_are_passed_over_and_marks_of_joined_files_are_no_part_of_a_cell() -> None:
    text = "\ufeff" + GOOD.replace("i3", "\ufeffi3").replace("i4", "\r\n,,,\r\ni4")
    rows, bad = read(text)
    assert [cells for _, cells in rows] == ROWS
    assert [line for line, _ in rows] == [2, 3, 4, 7, 8]
    assert not bad


def test_columns_are_found_by_name_in_any_case_and_place() -> None:
    found = table(written([[" NO", "Text ", "", "\ufeffId", "Yes"]]))
    assert [found.position(name) for name in HEADER] == [3, 1, 4, 0]
    assert found.position("none", "yes") == 4
    assert found.has("ID")
    assert not found.has("other")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Unnamed: 0",
        "Unnamed: 0.1",
        "Unnamed: 0_level_1",
        "index",
        "level_0",
        "X",
        "X.1",
        "...1",
        "row.names",
    ],
)
def test_a_column_of_row_numbers_is_known_under_the_names_that_programs_give_it(name: str) -> None:
    assert table(written([[name, *HEADER]])).unnamed() == [0]


WRONG_FILES = {
    "empty": ("", "f.csv: the file is empty"),
    "blank": ("\r\n , ,\r\n", "f.csv: the file is empty"),
    "semicolons": (written([HEADER, *ROWS], separator=";"), "f.csv:1: .* by semicolons, not by commas.*sep=';'"),
    "quoted semicolons": (
        written([HEADER, *ROWS], separator=";", quoting=csv.QUOTE_ALL),
        "f.csv:1: its columns are separated by semicolons",
    ),
    "tabs": (written([HEADER, *ROWS], separator="\t", quoting=csv.QUOTE_ALL), r"separated by tabs.*sep='\\t'"),
    "bars": (written([HEADER, *ROWS], separator="|"), "separated by bars"),
    "Excel's line": ("sep=,\r\n" + GOOD, "its first line, 'sep=,', is a setting of Excel's: remove it"),
    "lines in quotes": ('"id,text,yes,no"\n"1,2,3,4"\n', "its header is one cell in quotes"),
    "no header": (written(ROWS), "missing column 'id'; the file has i1, words 1, 1, 1; is the header missing?"),
    "missing": (written([HEADER[1:]]), "missing column 'id'; the file has text, yes, no$"),
    "twice": (written([[*HEADER, "ID"]]), "column 'id' stands there twice: 'id', 'ID'"),
    "numbered": (written([[*HEADER, "id.1"]]), "column 'id' stands there twice: 'id', 'id.1'"),
    "two files": (GOOD * 2, "f.csv:7: the header stands there again: .* Remove the line$"),
    "two orders": (GOOD + written([HEADER[::-1], *ROWS]), "f.csv:7: .*put the columns below it into the order of"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG_FILES)
def test_what_is_wrong_with_the_whole_file_is_an_error_that_no_row_pays_for(kind: str) -> None:
    text, reason = WRONG_FILES[kind]
    with pytest.raises(InputError, match=reason) as raised:
        found = table(text)
        for name in HEADER:
            found.position(name)
        list(found.rows(BadRows(skip=True)))
    assert "skip_bad_rows" not in str(raised.value)
    assert "\n" not in str(raised.value)


BAD_LINES = {
    "open quote": ('i3,"words 3,3,1', "a quote is still open at the end of the line"),
    "open first": ('"i3,words 3,3,1', "a quote is still open at the end of the line"),
    "early end": ('i3,"words" 3,3,1', "not CSV: ',' expected after"),
    "backslash": (r'i3,"wor\"ds 3",3,1', "not CSV: ',' expected after"),
    "short": ("i3,words 3,3", "3 columns, but the header has 4: is the row cut?"),
    "decimal comma": ("i3,words 3,3,5,1", "5 columns, but the header has 4"),
    "long cell": (f'i3,"{"x" * 140_000}",3,1', r"not CSV: field larger than field limit \(131072\): is a quote left"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_LINES)
@pytest.mark.parametrize("place", [1, 3, 5])
def test_a_bad_row_costs_no_other_row(kind: str, place: int) -> None:
    line, reason = BAD_LINES[kind]
    lines = GOOD.split("\r\n")
    lines[place] = line
    rows, bad = read("\r\n".join(lines))
    assert [cells for _, cells in rows] == [row for at, row in enumerate(ROWS, start=1) if at != place]
    assert [at for at, _ in rows] == [at for at in range(2, 7) if at != place + 1]
    assert len(bad) == 1
    assert re.match(rf"f\.csv:{place + 1}: {reason}", bad[0]), bad


@pytest.mark.parametrize("quotes", [("i1", '"i1'), ("words 2", '"words 2'), ("1\r\ni3", '"1\r\ni3')])
def test_quotes_in_several_rows_cost_those_rows_alone(quotes: tuple[str, str]) -> None:
    rows, bad = read(GOOD.replace(*quotes).replace("words 4", '"words 4'))
    assert len(rows) == 3
    assert all(cells in ROWS for _, cells in rows)
    assert len(bad) == 2


def test_a_cell_over_several_lines_is_kept_where_cells_may_be_so() -> None:
    mine = ["i9", 'He said:\n"Yes, no,\n\nmaybe"', "1", "2"]
    text = written([HEADER, ROWS[0], mine, *ROWS[1:]])
    rows, bad = read(text, multi_line=True)
    assert [cells for _, cells in rows] == [ROWS[0], mine, *ROWS[1:]]
    assert [line for line, _ in rows] == [2, 3, 7, 8, 9, 10]
    assert not bad
    assert "a quote is still open" in read(text)[1][0]


def test_a_quote_that_swallows_whole_rows_is_found_even_where_the_columns_fit() -> None:
    text = 'id,text,yes,no\ni1,"one,1,1\ni2,two,2,1\ni3,three",3,1\ni4,four,4,1\n'
    rows, bad = read(text, multi_line=True)
    assert [cells[0] for _, cells in rows] == ["i2", "i3", "i4"]
    assert [cells[2] for _, cells in rows] == ["2", "3", "4"]
    assert "f.csv:2: a cell holds a whole row: is a quote left open?" in bad[0]


def test_a_limit_that_another_library_sets_changes_nothing() -> None:
    before = csv.field_size_limit(2**31 - 1)
    try:
        rows, bad = read(GOOD.replace("i2", '"i2') + GOOD.partition("\r\n")[2] * 9_000)
    finally:
        csv.field_size_limit(before)
    assert len(rows) == 45_004
    assert len(bad) == 1


@given(
    st.lists(
        st.lists(st.text("ab ,\"'\n", max_size=6), min_size=3, max_size=3).filter(any),
        max_size=6,
    )
)
def test_what_is_written_is_read(rows: list[list[str]]) -> None:
    expected = [row for row in rows if any(row)]
    text = written([["x", "y", "zz"], *expected])
    found, bad = read(text, multi_line=True)
    suspected = [
        cells
        for cells in expected
        if any(line.count(",") >= 2 for cell in cells for line in cell.split("\n"))
    ]
    assert len(found) + len(bad) >= len(expected) - len(suspected)
    if not suspected:
        assert [cells for _, cells in found] == expected


@pytest.mark.parametrize(
    "cell", ["", " ", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "<NA>", " none "]
)
def test_a_missing_value_may_be_spelt_in_any_way(cell: str) -> None:
    assert is_missing(cell)


def test_numbers_may_have_become_floats_and_nothing_else() -> None:
    assert [whole_number(cell) for cell in ("6", "6.0", " 6. ", "006")] == [6, 6, 6, 6]
    for cell in ("", "6.5", "-6", "+6", "6,0", "1e3", "inf", "NaN", "True", "٦", "²", "1_0", "9" * 400):
        assert whole_number(cell) is None
    assert [name_text(name) for name in (" 12.0 ", "12", "012.0", "12.5", "v1.0", "a")] == [
        "12", "12", "012", "12.5", "v1.0", "a",
    ]  # fmt: skip
