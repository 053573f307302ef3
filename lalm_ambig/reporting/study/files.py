"""Write the tables and the numbers of a study: NAME.md, NAME.csv and NAME.json."""

import json
from collections.abc import Sequence
from pathlib import Path

from lalm_ambig.files.atomic import write_text
from lalm_ambig.files.kinds import check_replaceable, json_with, mark_of, marked, table_with
from lalm_ambig.reporting.study.summary import Summary
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import markdown, to_csv

MARK = mark_of("study")
WRITTEN = "what study writes"
KINDS = {
    ".md": marked(WRITTEN, MARK),
    ".csv": table_with(WRITTEN, "notes"),
    ".json": json_with(WRITTEN, "study", "reference", "rows"),
}
"""Suffix of a file to its kind."""


def check_free(folder: Path, name: str, *, where: str) -> None:
    """Check before the work that the files of a study replace nothing else.

    Raises:
        InputError: A file of something else has one of their names.
    """
    for suffix, kind in KINDS.items():
        check_replaceable(folder / f"{name}{suffix}", kind, where=where)


def write_study(folder: Path, summary: Summary, tables: Sequence[ResultTable]) -> None:
    """Write the tables as Markdown, the first one as CSV, and all numbers as JSON.

    Args:
        folder: The folder.
        summary: The numbers.
        tables: The tables, scores first.

    Raises:
        InputError: A file of something else has one of their names.
    """
    name = summary.outline.name
    check_free(folder, name, where="study")
    parts = [markdown(table) for table in tables]
    write_text(folder / f"{name}.md", "\n".join([*parts, f"<!-- {MARK} -->\n"]))
    write_text(folder / f"{name}.csv", to_csv(tables[0]))
    content = json.dumps(summary.record(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / f"{name}.json", f"{content}\n")
