"""A results.md is printed as the tables that it was written from."""

import io

from rich.console import Console

from lalm_ambig.evaluation.from_markdown import tables_of
from lalm_ambig.evaluation.grid import Cell, Grid

MAIN = Grid(
    ["method", "JS (base 2) ↓", "Acc. ↑"],
    [
        [Cell("prior"), Cell("0.330 (0.310–0.350)"), Cell("0.400", best=True)],
        [Cell("tr|ained [x]"), Cell("0.141 (0.122–0.158)", best=True), Cell("–")],
    ],
    "demo, test split, 8 items.\npanel: stands beside.",
)
LEVELS = Grid(
    ["ambiguity", "method", "JS"],
    [
        [Cell("low (3)"), Cell("prior"), Cell("0.5")],
        [Cell(""), Cell("trained"), Cell("0.4", best=True)],
        [Cell("high (1)"), Cell("prior"), Cell("0.2", best=True)],
    ],
    "Ambiguity: levels.",
    names=2,
    sections=frozenset({1}),
)


def printed(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system="standard")
    console.print(*parts, sep="\n")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_tables_come_back_as_they_were_printed() -> None:
    text = f"{MAIN.markdown()}\n{LEVELS.markdown()}\n- a notice\n- another\n"
    main, levels = tables_of(text)
    assert printed(main) == printed(MAIN.rich(narrow=True))
    kept = Grid(LEVELS.head, LEVELS.rows, f"{LEVELS.caption}\n- a notice\n- another", 2, LEVELS.sections)
    assert printed(levels) == printed(kept.rich(narrow=True))


def test_what_is_no_table_is_shown_as_it_is() -> None:
    assert tables_of("Only a line | with a bar.\n") == ["Only a line | with a bar."]
    before, table = tables_of(f"Above.\n\n{MAIN.markdown()}")
    assert before == "Above." and printed(table) == printed(MAIN.rich(narrow=True))
    assert tables_of("") == []
