"""One file per table: `TITLE`, and `sheets(report)`, which lays it out. A new file is found by itself."""

import sys
from collections.abc import Sequence

from lalm_ambig.core.discovery import module_names, module_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.tabular.model import ResultTable


def table_names() -> list[str]:
    """Names that `--table` takes."""
    return module_names(sys.modules[__name__])


def sheets(name: str, report: Report) -> Sequence[ResultTable]:
    """Lay out the table of that name.

    Raises:
        InputError: There is no such table.
    """
    if name not in table_names():
        raise InputError(
            f"unknown table {name!r}: expected one of {', '.join(table_names())}", where="--table"
        )
    laid_out: Sequence[ResultTable] = module_of(sys.modules[__name__], name).sheets(report)
    return laid_out
