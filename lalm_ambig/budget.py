"""How many annotators an item needs, from a corpus that has many votes.

For each n it says how far n votes are from the distribution behind them, what a second group of people and the true
distribution would score against them, and how often they have the majority of all votes. With --run it also gives the
scores of finished runs against n votes, and what tells two of them apart.

Examples:
  lalm-ambig budget --corpus chaosnli --root ~/ChaosNLI
  lalm-ambig budget --corpus crema_d --root ~/CREMA-D --votes 1 2 4 8 --common-items --out out/budget
  lalm-ambig budget --run runs/kl runs/grpo --total 5000
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console

from lalm_ambig.baselines.vote_rows import FEWEST_VOTES, TOLERANCE
from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.corpus_options import ROOT_HELP, option_values
from lalm_ambig.core.errors import EXIT_OK, InputError, run_command
from lalm_ambig.core.installation import install_extra
from lalm_ambig.corpora.base import corpus_names, open_corpus
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.evaluation.notes import is_drawn
from lalm_ambig.evaluation.overlap import marked_name
from lalm_ambig.evaluation.pairing import ComparedRun, check_pairable
from lalm_ambig.evaluation.results import clusters_among, clusters_of
from lalm_ambig.evaluation.run_votes import METRICS
from lalm_ambig.evaluation.vote_subsets import VotedItems, whole_votes
from lalm_ambig.files.places import check_folder
from lalm_ambig.reporting.budget.files import check_free, write_budget
from lalm_ambig.reporting.budget.summary import FLOORS, Asked, Budget, budget_of, run_part, scored_run
from lalm_ambig.reporting.budget.tables import budget_tables, conclusion, pair_conclusions
from lalm_ambig.runs.answered import answers_folder, read_answers
from lalm_ambig.runs.trained_items import FLAG, HELP
from lalm_ambig.tabular.writers import laid_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what n votes an item are worth, and write it to `--out DIR` if that is given.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.

    Raises:
        InputError: Options contradict each other, or the votes are no counts that could be drawn from.
    """
    options = _parser().parse_args(arguments)
    _check(options)
    console = Console()
    runs = _read_runs(options, console)
    budget = _budget(options, runs)
    tables = budget_tables(budget)
    for table in tables:
        console.print(table.title, markup=False, highlight=False, style="bold", soft_wrap=True)
        console.print(*laid_out(console, table))
    lines = [conclusion(budget)]
    if budget.runs is not None:
        lines += pair_conclusions(budget.runs, options.metric)
    for line in lines:
        console.print(line, markup=False, highlight=False)
    if options.out is not None:
        write_budget(options.out, budget, tables, lines)
        _draw(budget, options.out, console)
        console.print(f"budget.json, .csv and .md: {options.out}", markup=False, soft_wrap=True)
    return EXIT_OK


def _check(options: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything is read."""
    if options.corpus is None and not options.run:
        raise InputError("missing: --corpus NAME or --run FOLDER.", where="budget")
    if options.corpus is None:
        given = {name: vars(options)[name] for name in ("root", "part", "option")}
        for name in (name for name, value in given.items() if value):
            raise InputError("goes with --corpus NAME: a run brings its own votes.", where=f"--{name}")
    if options.metric is not None and not options.run:
        raise InputError("goes with --run: it says what runs are compared by.", where="--metric")
    options.metric = options.metric or next(iter(METRICS))
    if options.total is not None and len(options.run) < 2:
        raise InputError("goes with two --run: it is about telling them apart.", where="--total")
    if options.total is not None and options.total < 2:
        raise InputError(f"must be at least 2, got {options.total}", where="--total")
    if not 0 < options.tolerance < 1:
        raise InputError(f"must be in (0, 1), got {options.tolerance:g}", where="--tolerance")
    if options.out is not None:
        options.out = options.out.expanduser()
        check_folder(options.out, where="--out")
        check_free(options.out)


def _read_runs(options: argparse.Namespace, console: Console) -> list[ComparedRun]:
    """Return the runs, on the same items and scored against votes, and print what they were trained on."""
    runs = []
    folders = [answers_folder(given, where="--run") for given in options.run]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("the same folder is given twice.", where="--run")
    for given, name, folder in zip(options.run, _names(options.run), folders, strict=True):
        run = read_answers(name, folder, allow=options.allow_trained_items)
        overlap = run.results.about.trained_items
        for note in () if overlap is None else overlap.notes:
            console.print(f"{name}: {note}.", style="bold yellow", markup=False, highlight=False)
        run = ComparedRun(marked_name(name, overlap), run.results, run.predictions)
        if drawn := next((one.id for one in run.predictions if is_drawn(one)), None):
            raise InputError(
                f"{given} is scored against something else than the votes (item {drawn}), as panel and oracle are.",
                where="--run",
                remedy="Leave it out: the tables have both, for every number of votes.",
            )
        runs.append(run)
    for other in runs[1:]:
        check_pairable(runs[0], other, where="--run")
    return runs


def _names(given: Sequence[str]) -> list[str]:
    """Short names of runs: the last part of each path, where these differ; else what was given. None is a floor's."""
    short = [Path(name).name or name for name in given]
    names = given if len({*short, *FLOORS}) < len(short) + len(FLOORS) else short
    return [f"run {name}" if name in FLOORS else name for name in names]


def _budget(options: argparse.Namespace, runs: Sequence[ComparedRun]) -> Budget:
    asked = Asked(
        options.votes,
        options.common_items,
        options.tolerance,
        options.metric,
        options.total,
        options.seed or 0,
    )
    of_runs = _items_of_run(runs[0]) if runs else None
    if options.corpus is not None:
        source, items = _corpus_items(options)
        if of_runs is not None:
            _check_same_votes(of_runs, items, source)
    else:
        assert of_runs is not None
        about = runs[0].results.about
        source, items = f"{about.corpus_and_part}, {about.part_of_corpus}", of_runs
    budget = budget_of(source, items, asked)
    if of_runs is None:
        return budget
    votes = _votes_of_runs(budget.votes, of_runs)
    places = {item: n for n, item in enumerate(of_runs.ids)}
    scored = []
    for run in runs:
        order = [places[one.id] for one in run.predictions]
        back = sorted(range(len(order)), key=order.__getitem__)
        scored.append(scored_run(run, run.name).at(back))
    one_seed = [run.name for run in runs if run.results.about.readout != "none"]  # a baseline has no seed
    part = run_part(of_runs, scored, asked, alpha=budget.alpha, votes=votes, one_seed=one_seed)
    return replace(budget, runs=part)


def _votes_of_runs(votes: Sequence[int], of_runs: VotedItems) -> list[int]:
    """Return the numbers of votes that some item of the runs has."""
    largest = int(of_runs.sizes.max())
    if largest < FEWEST_VOTES:
        raise InputError(
            "no item of the runs has two votes.", where="--run", remedy="Leave the runs out, or name others."
        )
    if votes[0] > largest:
        raise InputError(
            f"no item of the runs has {votes[0]} votes: the largest number is {largest}.",
            where="--votes",
            remedy=f"Give one from 1 to {largest}, too.",
        )
    return [n for n in votes if n <= largest]


def _corpus_items(options: argparse.Namespace) -> tuple[str, VotedItems]:
    """Return what a corpus is called, and its items."""
    chosen = {"part": options.part, "seed": options.seed}
    given = {name: value for name, value in chosen.items() if value is not None}
    corpus = open_corpus(options.corpus, options.root, **given, **option_values(options.option))
    view = prepare(corpus, check_audio=False).items()
    ids = view.ids()
    speakers = [(item, speaker) for item, (speaker, _, _) in zip(ids, view.strata(), strict=True)]
    votes = whole_votes(view.votes().double(), tuple(ids), where=f"corpus {corpus.name}")
    return corpus.full_name, VotedItems(tuple(ids), votes, clusters_among(speakers, corpus.name))


def _items_of_run(run: ComparedRun) -> VotedItems:
    ids = tuple(one.id for one in run.predictions)
    votes = torch.tensor([one.votes for one in run.predictions], dtype=torch.float64)
    clusters = clusters_of(run.predictions, run.results.about.corpus)
    return VotedItems(ids, whole_votes(votes, ids, where="--run"), clusters)


def _check_same_votes(of_runs: VotedItems, items: VotedItems, source: str) -> None:
    """Refuse runs on items that the corpus does not have, or has with other votes."""
    known = dict(zip(items.ids, items.votes.tolist(), strict=True))
    for item, votes in zip(of_runs.ids, of_runs.votes.tolist(), strict=True):
        if known.get(item) == votes:
            continue
        what = f"votes {votes} in the run and {known[item]}" if item in known else "in the run, and not"
        raise InputError(
            f"item {item} is {what} in {source}."
            if item not in known
            else f"item {item} has {what} in {source}.",
            where="--run",
            remedy="Leave --corpus out: the run brings its own votes.",
        )


def _draw(budget: Budget, out: Path, console: Console) -> None:
    if find_spec("matplotlib"):
        from lalm_ambig.reporting.budget.figure import draw_budget  # not above: tables need no matplotlib

        draw_budget(budget, out)
        return
    line = f"no figure: matplotlib is not installed. Run: {install_extra('figures')}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m lalm_ambig.budget", description=__doc__)
    parser.add_argument("--corpus", help=f"one of {', '.join(corpus_names())}")
    parser.add_argument("--root", type=Path, help=ROOT_HELP)
    parser.add_argument("--part", help="only this part, where the corpus has parts")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of that corpus, as votes=face for crema_d; may be repeated",
    )
    _add_run_options(parser)
    _add_vote_options(parser)
    parser.add_argument("--seed", type=int, help="seed of what is drawn (default 0)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write budget.json, budget.csv, budget.md and the figure there",
    )
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about finished runs."""
    parser.add_argument(
        "--run",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="finished runs, evaluated folders or FOLDER:ROW, all on the same items; without --corpus, their votes are "
        "taken",
    )
    parser.add_argument(FLAG, action="store_true", help=HELP)
    parser.add_argument(
        "--metric", choices=list(METRICS), help="what runs are compared by (default js_div_bits)"
    )
    parser.add_argument(
        "--total",
        type=int,
        metavar="V",
        help="votes of a test that is to tell two runs apart (default: as many as the runs' items have)",
    )


def _add_vote_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about numbers of votes."""
    parser.add_argument(
        "--votes",
        type=int,
        nargs="+",
        metavar="N",
        help="numbers of votes an item (default: 1 2 3 5 8 10 15 20 30 50 …, as far as ten items have them, and the "
        "median)",
    )
    parser.add_argument(
        "--common-items",
        action="store_true",
        help="all rows on the items that have the largest number of votes",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        metavar="JS",
        help=f"bits of JS that another doubling of the votes must gain to be worth it (default {TOLERANCE})",
    )


if __name__ == "__main__":
    run_command(main)
