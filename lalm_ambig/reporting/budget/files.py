"""Write the numbers of `budget`: budget.json, budget.csv and budget.md."""

import json
from collections.abc import Sequence
from pathlib import Path

from lalm_ambig.files.atomic import write_text
from lalm_ambig.files.kinds import OutputKind, check_replaceable, json_with, mark_of, marked, table_with
from lalm_ambig.reporting.budget.summary import Budget
from lalm_ambig.reporting.budget.tables import sheet
from lalm_ambig.reporting.writing.files import MARK as DRAWN
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import markdown, to_csv

STEM = "budget"
MARK = mark_of("budget")
WRITTEN = "what budget writes"
KINDS: dict[str, OutputKind] = {
    ".json": json_with(WRITTEN, "corpus", "alpha", "tolerance", "rows"),
    ".csv": table_with(WRITTEN, "notes"),
    ".md": marked(WRITTEN, MARK),
    **dict.fromkeys((".png", ".svg"), marked(WRITTEN, DRAWN)),
}
"""Suffix of a file to its kind."""


def check_free(folder: Path) -> None:
    """Check before the work that no file of something else is replaced.

    Raises:
        InputError: One has the name of a file of `budget`.
    """
    for suffix, kind in KINDS.items():
        check_replaceable(folder / f"{STEM}{suffix}", kind, where="--out")


def write_budget(folder: Path, budget: Budget, tables: Sequence[ResultTable], lines: Sequence[str]) -> None:
    """Write all numbers as JSON, those by n as CSV, and the tables as Markdown.

    Args:
        folder: The folder.
        budget: The numbers.
        tables: As they are printed.
        lines: The conclusions.

    Raises:
        InputError: A file of something else has one of the names.
    """
    check_free(folder)
    record = {**budget.record(), "conclusions": list(lines)}
    content = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / f"{STEM}.json", f"{content}\n")
    write_text(folder / f"{STEM}.csv", to_csv(sheet(budget)))
    parts = [*(markdown(table) for table in tables), *(f"{line}\n" for line in lines)]
    write_text(folder / f"{STEM}.md", "\n".join([*parts, f"<!-- {MARK} -->\n"]))
