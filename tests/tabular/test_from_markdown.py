"""A results.md is printed as the tables that it was written from."""

import io
from dataclasses import replace

from rich.console import Console

from lalm_ambig.tabular.from_markdown import tables_of
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow
from lalm_ambig.tabular.writers import plain_markdown, terminal


def row(names: tuple[str, ...], *cells: Cell) -> TableRow:
    return TableRow(names, cells)


MAIN = ResultTable(
    ("method",),
    (Column("js", "JS (base 2) ↓"), Column("accuracy", "Acc. ↑")),
    (
        row(("prior",), Cell(text="0.330 (0.310–0.350)"), Cell(text="0.400", rank=1)),
        row(("tr|ained [x]",), Cell(0.141, 0.122, 0.158, rank=1), Cell()),
    ),
    ("demo, test split, 8 items.", "panel: stands beside."),
)
LEVELS = ResultTable(
    ("ambiguity", "method"),
    (Column("js", "JS"),),
    (
        row(("low (3)", "prior"), Cell(text="0.5")),
        row(("", "trained"), Cell(text="0.4", rank=1)),
        row(("high (1)", "prior"), Cell(text="0.2", rank=1)),
    ),
    ("Ambiguity: levels.",),
    frozenset({1}),
)


def printed(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    console.print(*parts, sep="\n")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_tables_come_back_as_they_were_printed() -> None:
    text = f"{plain_markdown(MAIN)}\n{plain_markdown(LEVELS)}\n- a notice\n- another\n"
    main, levels = tables_of(text)
    assert printed(terminal(main, narrow=True)) == printed(terminal(MAIN, narrow=True))
    with_notices = replace(LEVELS, caption=(*LEVELS.caption, "- a notice", "- another"))
    assert printed(terminal(levels, narrow=True)) == printed(terminal(with_notices, narrow=True))


def test_what_is_no_table_is_shown_as_it_is() -> None:
    assert tables_of("Only a line | with a bar.\n") == ["Only a line | with a bar."]
    before, table = tables_of(f"Above.\n\n{plain_markdown(MAIN)}")
    assert before == "Above." and printed(terminal(table, narrow=True)) == printed(
        terminal(MAIN, narrow=True)
    )
    assert tables_of("") == []
