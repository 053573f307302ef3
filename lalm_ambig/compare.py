"""Compare two results on the same items: `python -m lalm_ambig.compare FIRST SECOND`.

Each is a run folder of fit (its trained policy), or a folder that evaluate or baseline wrote. FOLDER:ROW names another
row of it, such as RUN:base or RUN:prior. With {seed} or {fold} in place of numbers, a name means a family, whose folds
are pooled and whose seeds are averaged: compare 'runs/kl-s{seed}' 'runs/grpo-s{seed}'.

Examples:
  lalm-ambig compare runs/NAME runs/OTHER                         trained against trained
  lalm-ambig compare runs/NAME runs/NAME:prior                    a run against its corpus's prior
  lalm-ambig compare 'runs/kl-s{seed}' 'runs/grpo-s{seed}'        families over seeds
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.evaluation.comparison import Comparison, compare
from lalm_ambig.evaluation.pairing import ComparedRun
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import Results
from lalm_ambig.files.atomic import write_text
from lalm_ambig.files.families import MemberFolder, is_family, member_folders
from lalm_ambig.files.kinds import check_replaceable, json_with, mark_of, marked
from lalm_ambig.metrics.base import formulas
from lalm_ambig.reporting.reading.inputs import read_config
from lalm_ambig.reporting.reading.recipe import family_of
from lalm_ambig.runs.answered import answers_folder, read_answers
from lalm_ambig.runs.trained_items import FLAG, HELP
from lalm_ambig.tabular.writers import fitting

WRITTEN = "what compare writes"
KINDS = {
    ".md": marked(WRITTEN, mark_of("compare")),
    ".json": json_with(WRITTEN, "first", "second", "items_digest", "metrics"),
}
"""Suffix of an output file to its kind."""
VALUES = 3
"""Columns of the table that stand together in a narrow terminal: both values and the difference."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the differences of all metrics, with intervals and p-values, and write them to `--out FILE`.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.

    Raises:
        InputError: `--out` has another suffix than .md or .json, or both results are the same folder.
    """
    options = _parser().parse_args(arguments)
    if options.out is not None and options.out.suffix not in KINDS:
        raise InputError(f"expected a name in {' or '.join(KINDS)}, got {options.out}", where="--out")
    if options.out is not None:
        check_replaceable(options.out, KINDS[options.out.suffix], where="--out")
    members = _members(options.first), _members(options.second)
    if {one.path.resolve() for one in members[0]} == {one.path.resolve() for one in members[1]}:
        raise InputError(f"both are {options.first}: there is nothing to compare", where="compare")
    names = options.first, options.second
    first, second = (_family(n, of_name, options) for n, of_name in zip(names, members, strict=True))
    found = compare(first, second, metrics=options.metric)
    console = Console()
    for warning in found.warnings():
        console.print(f"[bold yellow]{escape(warning)}[/bold yellow]", highlight=False)
    console.print(*fitting(console, found.table(), VALUES))
    if options.out is not None:
        _write(options.out, found)
        console.print(f"written: {options.out}")
    return 0


def _members(name: str) -> list[MemberFolder]:
    """Return the folders of predictions that a name means: one, or those of a family."""
    if not is_family(name):
        return [MemberFolder(answers_folder(name, where="compare"), name, None, None)]
    family, colon, row = name.rpartition(":")
    if not is_family(family) or is_family(row):  # no row, or a colon in the path before the family's name
        family, colon, row = name, "", ""
    found = member_folders(family, where="compare")
    _check_settings(found, family)
    return [replace(one, path=answers_folder(f"{one.path}{colon}{row}", where="compare")) for one in found]


def _check_settings(members: Sequence[MemberFolder], name: str) -> None:
    """Refuse runs that differ in more than seed, fold and name, as far as they are runs.

    Raises:
        InputError: They do. The message names the first two.
    """
    known = [one for one in members if (one.path / "config.yaml").is_file()]
    families = [family_of(read_config(one.path / "config.yaml")) for one in known]
    for one, its_family in zip(known, families, strict=True):
        if its_family != families[0]:
            raise InputError(
                f"{known[0].path} and {one.path} differ in more than seed and fold: {name} is no family.",
                where="compare",
                remedy="Move one of them away, or compare runs one by one.",
            )


def _family(name: str, members: Sequence[MemberFolder], options: argparse.Namespace) -> ComparedRun:
    """Return what a name means as one side: its folds pooled, its seeds beside each other."""
    runs = [read_answers(name, one.path, allow=options.allow_trained_items) for one in members]
    if not is_family(name):
        return runs[0]
    by_seed: dict[int | None, list[Prediction]] = {}
    for one, run in zip(members, runs, strict=True):
        _check_alike(runs[0], run, one)
        _check_fold(by_seed.get(one.seed, ()), run, one)
        by_seed.setdefault(one.seed, []).extend(run.predictions)
    pasts = tuple(run.results.about.training for run in runs)
    overlaps = tuple(o for run in runs if (o := run.results.about.trained_items) is not None)
    first, *others = by_seed.values()
    return ComparedRun(
        name,
        _of_family(runs),
        first,
        tuple(others),
        seeds=tuple(seed for seed in by_seed if seed is not None),
        folds=tuple(sorted({one.fold for one in members if one.fold is not None})),
        overlaps=overlaps,
        pasts=pasts,
    )


def _of_family(runs: Sequence[ComparedRun]) -> Results:
    """Return the results of the first run, with the share of responses of the whole family that could be read."""
    rates = [(run.results.parse_rate, run.results.items) for run in runs]
    known = [(rate, items) for rate, items in rates if rate is not None]
    rate = sum(r * n for r, n in known) / sum(n for _, n in known) if len(known) == len(runs) else None
    return replace(runs[0].results, parse_rate=rate)


def _check_alike(first: ComparedRun, run: ComparedRun, member: MemberFolder) -> None:
    """Refuse a member of a family that answers in another way than the first one, or elsewhere."""
    ours, theirs = first.results.about, run.results.about
    for what in ("corpus", "part", "split", "readout", "reasoning", "samples", "trained_on"):
        one, other = getattr(ours, what), getattr(theirs, what)
        if one != other:
            field = what.replace("_", " ")
            raise InputError(
                f"{member.path} differs from the first run of {run.name} in {field}: {other}, not {one}.",
                where="compare",
                remedy="Members of a family differ in seed and fold alone: move it away, or name each run alone.",
            )


def _check_fold(known: Sequence[Prediction], run: ComparedRun, member: MemberFolder) -> None:
    """Refuse a fold that tests on an item which another fold of its seed tests on as well."""
    ids = {p.id for p in known}
    if twice := next((p.id for p in run.predictions if p.id in ids), None):
        raise InputError(
            f"item {twice} is tested in {member.path} and in another fold of {run.name}: these are no folds.",
            where="compare",
            remedy="Use {seed} in place of {fold} for runs on the same test.",
        )


def _write(path: Path, found: Comparison) -> None:
    if path.suffix == ".md":
        write_text(path, f"{found.markdown()}\n<!-- {mark_of('compare')} -->\n")
    else:
        content = json.dumps(found.record(), indent=2, ensure_ascii=False, allow_nan=False)
        write_text(path, f"{content}\n")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.compare", description=__doc__)
    parser.add_argument(
        "first",
        metavar="FIRST",
        help="a run folder, an evaluated folder, FOLDER:ROW, or a family such as 'runs/NAME-s{seed}'",
    )
    parser.add_argument("second", metavar="SECOND", help="the same; differences are first minus second")
    names = ", ".join(metric.name for metric in formulas(2))
    parser.add_argument(
        "--metric", action="append", metavar="NAME", help=f"only this metric; may be repeated; of {names}"
    )
    parser.add_argument(FLAG, action="store_true", help=HELP)
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write a .md or .json file")
    return parser


if __name__ == "__main__":
    run_command(main)
