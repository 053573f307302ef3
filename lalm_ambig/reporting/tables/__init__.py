"""One file a table: `TITLE`, and `sheets(report)` that lays it out. A new file is found by itself."""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from lalm_ambig.errors import InputError
from lalm_ambig.reporting.report import Report
from lalm_ambig.reporting.sheet import Sheet


def table_names() -> list[str]:
    """What `--table` takes."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))


def sheets(name: str, report: Report) -> Sequence[Sheet]:
    """A table, laid out; InputError for a name that is none."""
    if name not in table_names():
        raise InputError(
            f"unknown table {name!r}: expected one of {', '.join(table_names())}", where="--table"
        )
    found: Sequence[Sheet] = importlib.import_module(f"lalm_ambig.reporting.tables.{name}").sheets(report)
    return found
