"""Train every row of a study with several seeds, and compare them: `python -m lalm_ambig.study FILE`.

The same command goes on where an earlier one was interrupted, and leaves finished runs as they are. Several processes
can share a study: each takes runs that no other one has. What follows -- goes to every fit.

Examples:
  lalm-ambig study configs/study/demo.yaml
  lalm-ambig study configs/study/demo.yaml --seeds 0 --rows kl_only sft_own
  lalm-ambig study configs/study/demo.yaml --root /tmp/try -- --data.limit 8 --trainer.max_steps 2
  lalm-ambig study configs/study/demo.yaml --table-only --out docs/results/demo
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from lalm_ambig import evaluate, fit
from lalm_ambig.config.cli import parse
from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.run_options import TEST_FLAG
from lalm_ambig.core.door import shown
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.installation import install_extra
from lalm_ambig.core.items import Item
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.estimation.estimate import processes
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.files.atomic import CannotWrite, write_text
from lalm_ambig.files.places import check_folder
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.reporting.study.files import check_free, write_study
from lalm_ambig.reporting.study.summary import Outline, summarise
from lalm_ambig.reporting.study.table import EFFORTS, PAIRED, effort_table, score_table
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes.ending import explain_ending
from lalm_ambig.runs.processes.launch import quiet_libraries
from lalm_ambig.runs.study.claims import claimed
from lalm_ambig.runs.study.kept import check_place
from lalm_ambig.runs.study.plan import (
    PlannedRun,
    Study,
    check_more,
    planned_runs,
    read_study,
    words_of,
)
from lalm_ambig.runs.study.records import (
    ASKED,
    answers_folder,
    asked_of,
    check_asked,
    check_kept_place,
    is_finished,
    keep,
    read_rows,
)
from lalm_ambig.tabular.writers import fitting

ROOT = "{root}"
"""Placeholder in a row's words of `evaluate` for the study's root."""
POLL_S = 5.0
"""Seconds between two looks at a run that another process makes."""


@dataclass
class Work:
    """The runs of a study that this process makes."""

    study: Study
    root: Path
    more: Sequence[str]
    """Further words for every `fit`."""
    console: Console
    failed: dict[str, str] = field(default_factory=dict)
    """Name of a run → why it could not be made."""

    def check(self, runs: Sequence[PlannedRun]) -> None:
        """Check every configuration before the first run, so that a mistake is found at once.

        Args:
            runs: The runs to be made.

        Raises:
            InputError: A row cannot be configured, needs several devices, or its folder has another configuration.
        """
        for run in runs:
            if run.row.of is not None:
                self._check_evaluation(run)
                continue
            cli = parse(self._words(run))
            if processes(cli.config_init["trainer"]) > 1:
                raise InputError(
                    f"row {run.row.name} asks for several devices:",
                    where="study",
                    remedy="a study trains each run on one. Start a process per device; they share the runs.",
                )
            try:
                RunFolder(self.root / run.name).state_for(cli.identity())
            except InputError as error:
                what = str(error).removeprefix("run.name: ").partition(" Choose another")[0]
                raise InputError(
                    what, where="--root", remedy="Give another root, or move that folder."
                ) from error

    def _check_evaluation(self, run: PlannedRun) -> None:
        if is_finished(self.root, run):
            check_asked(
                self.root / run.name, run.row, read_results(answers_folder(self.root, run) / "metrics.json")
            )
            return
        try:
            evaluate.option_parser().parse_args(self._words_of_evaluate(run))
        except InputError as error:
            raise InputError(f"row {run.row.name}: {error}", where="study") from error

    def corpus_items(self) -> Iterable[Item]:
        """All items of the reference row's corpus, whatever its splits and limits are here.

        Raises:
            InputError: The corpus cannot be read.
        """
        row = self.study.row(self.study.reference)
        trained = row if row.of is None else self.study.row(row.of)
        data: DataModule = parse(self._words(PlannedRun(trained, self.study.seeds[0]))).datamodule
        try:
            data.setup()
        except InputError as error:
            raise InputError(
                f"the votes of the items are not kept here, and the corpus cannot be read: {error}",
                where=str(self.root),
                remedy="That is what --data.corpus.root after -- names.",
            ) from error
        return data.prepared.items()

    def make(self, runs: Sequence[PlannedRun]) -> None:
        """Make runs in their order, those that another process has at last.

        Args:
            runs: The runs to be made; what a run needs is before it.
        """
        waiting, told = list(runs), ""
        while waiting:
            run = next((one for one in waiting if self._made(one, waiting)), None)
            if run is not None:
                waiting.remove(run)
                continue
            if told != waiting[0].name:
                told = waiting[0].name
                self.console.print(f"waiting for {told}, which another process makes", highlight=False)
            time.sleep(POLL_S)

    def _made(self, run: PlannedRun, waiting: Sequence[PlannedRun]) -> bool:
        """Make a run; False if it has to wait for another one, or another process makes it."""
        if any(other.name == run.needs for other in waiting):
            return False
        if run.needs in self.failed:
            self._fail(run, f"{run.needs} could not be made")
            return True
        with claimed(self.root, run.name) as ours:
            if not ours:
                return False
            if is_finished(self.root, run):
                return True
            gc.collect()  # the model of the run before is in cycles of references
            self.console.rule(f"{run.row.label}, seed {run.seed}")
            try:
                self._evaluate(run) if run.row.of is not None else self._train(run)
            except CannotWrite:
                raise
            except InputError as error:
                self._fail(run, str(error))
        return True

    def _train(self, run: PlannedRun) -> None:
        fit.train([*self._words(run), TEST_FLAG], self.console)

    def _evaluate(self, run: PlannedRun) -> None:
        words = self._words_of_evaluate(run)
        limit = read_yaml(RunFolder(self.root / str(run.needs)).config)["data"].get("limit")
        write_text(self.root / run.name / ASKED, json.dumps(asked_of(run.row)) + "\n")
        evaluate.main(words if limit is None else [*words, f"--limit={limit}"])

    def _words_of_evaluate(self, run: PlannedRun) -> list[str]:
        words = [f"--run={self.root / str(run.needs)}", f"--out={self.root / run.name}"]
        words += [] if run.row.samples is None else [f"--samples={run.row.samples}"]
        return words + [word.replace(ROOT, str(self.root)) for word in run.row.evaluate]

    def _fail(self, run: PlannedRun, why: str) -> None:
        self.failed[run.name] = why
        self.console.print(f"{run.name} failed: {why}", highlight=False, markup=False, soft_wrap=True)

    def _words(self, run: PlannedRun) -> list[str]:
        return words_of(self.study, run, root=self.root, more=self.more)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs of a study that are not finished, and its tables and figure from all that are.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.

    Raises:
        InputError: Some runs could not be made. The others are, and the tables are made from them.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    cut = words.index("--") if "--" in words else len(words)
    options, more = _parser().parse_args(words[:cut]), words[cut + 1 :]
    quiet_libraries()
    check_more(more)
    study = read_study(options.study)
    root = options.root or Path("runs") / study.name
    _check_options(options, root)
    runs = planned_runs(study, rows=options.rows, seeds=options.seeds)
    work = Work(study, root, more, Console())
    places = [work.root, *([] if options.out is None else [options.out])]
    for place in places:
        check_folder(place, where="study")
        check_free(place, study.name, where="study")
    for place in places[1:]:
        check_place(place, [run.name for run in planned_runs(study, rows=[], seeds=options.seeds)])
    with explain_ending():
        if not options.table_only:
            work.check(runs)
            work.make(runs)
        if not work.failed or any(is_finished(work.root, run) for run in runs if run.row.in_table):
            _report(work, places, votes=not options.without_votes)
    if work.failed:
        listed = "; ".join(f"{name} ({why})" for name, why in work.failed.items())
        raise InputError(f"{len(work.failed)} of {len(runs)} runs failed: {listed}", where="study")
    return 0


def _check_options(options: argparse.Namespace, root: Path) -> None:
    """Check options that go together.

    Raises:
        InputError: Two of them do not.
    """
    if options.without_votes and options.out is None:
        what, remedy = "--without-votes is about the files of --out:", "Give --out DIR, too."
    elif options.without_votes and options.out.resolve() == root.resolve():
        what, remedy = "--out is --root, whose votes --without-votes would remove:", "Name another folder."
    elif options.table_only and (options.seeds or options.rows):
        what = "--seeds and --rows say what is trained, and --table-only trains nothing:"
        remedy = "Leave them out. The table has all that is finished; seeds and rows are in the study's file."
    elif any(seed < 0 for seed in options.seeds):
        what, remedy = f"--seeds are whole numbers from 0, got {min(options.seeds)}:", "Give others."
    else:
        return
    raise InputError(what, where="study", remedy=remedy)


def _report(work: Work, places: Sequence[Path], *, votes: bool) -> None:
    """Print and write the tables of all finished runs, draw the figure, and keep small files for the second place."""
    study, console = work.study, work.console
    results = read_rows(study, work.root, work.corpus_items)
    outline = Outline(study.name, study.title, study.reference, study.metrics, study.seeds)
    summary = summarise(outline, results.rows, results.references)
    tables = score_table(summary), effort_table(summary)
    scores, efforts = tables
    before = len(scores.columns) - len(PAIRED)
    console.print(*fitting(console, scores, before, narrow=True))
    console.print(*fitting(console, efforts, len(EFFORTS), narrow=True))
    for place in places[1:]:
        check_kept_place(results, place)
    for place in places:
        write_study(place, summary, tables)
    for place in places[1:]:
        keep(results, place, votes=votes)
    if find_spec("matplotlib"):
        from lalm_ambig.reporting.study.figure import draw_study  # not above: tables need no matplotlib

        for place in places:
            draw_study(summary, place)
    else:
        line = f"no figure: matplotlib is not installed. Run: {install_extra('figures')}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"{study.name}.md, .csv and .json: {', '.join(map(str, places))}", soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m lalm_ambig.study",
        usage=shown("lalm-ambig study FILE [--KEY VALUE ...] [-- WORDS OF FIT ...]"),
        description=__doc__,
    )
    parser.add_argument(
        "study", type=Path, metavar="FILE", help="the study, e.g. demo or configs/study/demo.yaml"
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="folder of the runs and the table (default: runs/NAME)"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="make only these seeds (default: the study's)",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        default=[],
        metavar="ROW",
        help="make only these rows, and those that they start from (default: all)",
    )
    parser.add_argument(
        "--table-only", action="store_true", help="train nothing: only tables and figure, of what is finished"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write tables and figure also there, with small files of each run; --root DIR --table-only reads them",
    )
    parser.add_argument(
        "--without-votes",
        action="store_true",
        help="keep no votes with --out, for a corpus that must not be passed on; --table-only then reads the corpus",
    )
    return parser


if __name__ == "__main__":
    run_command(main)
