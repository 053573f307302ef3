"""The tables of a family of runs in a terminal: a line for each configuration, over its seeds and folds."""

from rich.console import Console

from lalm_ambig.reporting.reading.groups import group_rows
from lalm_ambig.reporting.reading.inputs import ReportArgs, read_inputs
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.reading.resolving import resolve_rows
from lalm_ambig.reporting.tables.all import sheets
from lalm_ambig.tabular.writers import laid_out


def print_family(asked: ReportArgs, console: Console) -> None:
    """Print the tables of all runs of a family; nothing if none of them has results of that kind.

    Args:
        asked: The folders of the family.
        console: Where they are printed.
    """
    read = read_inputs(asked)
    if not read.rows:
        return
    for sheet in sheets(Report(group_rows(resolve_rows(read)), read.left_out)):
        console.print(*laid_out(console, sheet))
