"""Tables and figures from finished runs: `python -m lalm_ambig.report RUN… --out DIR`.

A RUN is a run folder of fit, a folder that evaluate or baseline wrote, or any folder with metrics.json and
predictions.jsonl. Its resolved configuration tells which row of a paper's table it fills.

Examples:
  lalm-ambig report runs/NAME runs/OTHER --out report/
  lalm-ambig report runs/NAME-s0 runs/NAME-s1 runs/NAME-s2 --out report/    seeds are joined
  lalm-ambig report --table corpora --root crema_d=~/CREMA-D --out report/
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.installation import install_extra
from lalm_ambig.corpora.base import corpus_names
from lalm_ambig.files.places import check_folder
from lalm_ambig.help.names import not_one_of
from lalm_ambig.reporting.corpus_summary import summarise
from lalm_ambig.reporting.figures import figure_names
from lalm_ambig.reporting.reading.corpora import summaries
from lalm_ambig.reporting.reading.groups import group_rows
from lalm_ambig.reporting.reading.inputs import ReportArgs, read_inputs
from lalm_ambig.reporting.reading.recipe import METHODS, method_named
from lalm_ambig.reporting.reading.report import Report
from lalm_ambig.reporting.reading.resolving import resolve_rows
from lalm_ambig.reporting.tables import corpora, sheets, table_names
from lalm_ambig.reporting.writing.files import check_free, write, write_table
from lalm_ambig.reporting.writing.page import DrawnFigure, page
from lalm_ambig.runs.older_results import with_overlap
from lalm_ambig.runs.past import with_past
from lalm_ambig.runs.trained_items import FLAG, HELP

PAGE = "report.html"
NO_FIGURE = "none"
COUNTED = "corpora"
"""The one table for which corpora are read. Other tables do not wait for a large corpus."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables and figures that were asked for, and report.html with all of them.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.
    """
    options = _parser().parse_args(arguments)
    console = Console()
    out = options.out.expanduser()
    check_folder(out, where="--out")
    check_free(out / PAGE)
    figures = _figures(options.figure, console)
    report = _report(options)
    for line in report.left_out:
        console.print(escape(line), highlight=False)
    found = [sheet for name in dict.fromkeys(options.table) for sheet in sheets(name, report)]
    shown = _draw(report, figures, out=out) if figures else []  # first: only they read the predictions
    for sheet in found:
        write_table(out, sheet)
    write(out / PAGE, page(report, found, shown))
    console.print(f"{len(found)} tables, {len(shown)} figures: {escape(str(out / PAGE))}")
    return 0


def _figures(asked: Sequence[str] | None, console: Console) -> list[str]:
    """Return the figures to draw. Without matplotlib, `--figure` is refused, and the default is none, with a notice."""
    names = [name for name in asked or figure_names() if name != NO_FIGURE]
    if not names or find_spec("matplotlib"):
        return names
    remedy = f"Run: {install_extra('figures')}"
    if asked:
        raise InputError("figures need matplotlib, which is not installed.", where="--figure", remedy=remedy)
    console.print(
        escape(f"no figures: matplotlib is not installed. {remedy}"), highlight=False, soft_wrap=True
    )
    return []


def _draw(report: Report, figures: Sequence[str], *, out: Path) -> list[DrawnFigure]:
    from lalm_ambig.reporting.drawing.draw import draw  # not above: tables need no matplotlib

    return draw(report, figures, out=out)


def _report(options: argparse.Namespace) -> Report:
    names = dict(map(_name, options.name))
    methods = {path: method_named(label, where="--row") for path, label in map(_row, options.row)}
    read = read_inputs(ReportArgs([path.resolve() for path in options.runs], names, methods))
    needs_runs = set(options.table) != {COUNTED}
    if not read.rows and not read.left_out and needs_runs:
        raise InputError("no RUN was given:", where="report", remedy="name at least one folder.")
    if not read.rows and (read.left_out or needs_runs):
        raise InputError("; ".join(read.left_out) + ".", where="report")
    roots = {_corpus_name(name): path for path, name in (_assigned(text, "--root") for text in options.root)}
    allow = options.allow_trained_items
    rows = [replace(row, results=with_overlap(row.results, row.folder, allow=allow)) for row in read.rows]
    rows = resolve_rows(replace(read, rows=rows))
    rows = [replace(row, results=with_past(row.results, row.folder, run=row.run)) for row in rows]
    report = Report(group_rows(rows), read.left_out, tuple(options.item), roots=roots)
    if COUNTED not in options.table:
        return report
    counted = summaries(report.groups, corpora.datasets_of(report), roots=roots, summarise=summarise)
    return replace(report, corpora=counted)


def _name(text: str) -> tuple[Path, str]:
    return _assigned(text, "--name")


def _row(text: str) -> tuple[Path, str]:
    return _assigned(text, "--row")


def _assigned(text: str, option: str) -> tuple[Path, str]:
    label, separator, path = text.partition("=")
    if not separator or not label or not path:
        raise InputError(
            f"expected {'CORPUS' if option == '--root' else 'LABEL'}=PATH, got {text!r}", where=option
        )
    return Path(path).expanduser().resolve(), label


def _corpus_name(name: str) -> str:
    if name not in corpus_names():
        raise InputError(f"unknown corpus {not_one_of(name, corpus_names())}", where="--root")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.report", description=__doc__)
    parser.add_argument(
        "runs",
        nargs="*",
        type=Path,
        metavar="RUN",
        help="a run folder, an evaluated folder, or a family such as 'runs/NAME-s{seed}'",
    )
    _add_contents(parser)
    _add_naming(parser)
    parser.add_argument(FLAG, action="store_true", help=HELP)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for everything that is made"
    )
    return parser


def _add_contents(parser: argparse.ArgumentParser) -> None:
    """Add the options for the content of the report."""
    tables, figures = table_names(), figure_names()
    parser.add_argument(
        "--table",
        nargs="+",
        choices=tables,
        default=["all"],
        metavar="NAME",
        help=f"of {', '.join(tables)} (default: all, one table a corpus)",
    )
    parser.add_argument(
        "--figure",
        nargs="+",
        choices=[*figures, NO_FIGURE],
        metavar="NAME",
        help=f"of {', '.join(figures)}, or {NO_FIGURE} (default: every one that the runs can fill)",
    )
    parser.add_argument(
        "--item",
        action="append",
        default=[],
        metavar="ID",
        help="an item whose responses are shown; may be repeated",
    )


def _add_naming(parser: argparse.ArgumentParser) -> None:
    """Add the options for names of runs, rows of tables, and folders of corpora."""
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="LABEL=PATH",
        help="how tables call that folder; may be repeated",
    )
    parser.add_argument(
        "--row",
        action="append",
        default=[],
        metavar="METHOD=PATH",
        help=f"the row of that folder in a paper's table, whatever its configuration says; of {', '.join(METHODS)}",
    )
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="CORPUS=PATH",
        help=f"where the files of a corpus are, for {COUNTED} and b14, if not where the runs had them; may be repeated",
    )


if __name__ == "__main__":
    run_command(main)
