"""Evaluate a trained or untrained policy on a corpus, and keep its predictions: `python -m lalm_ambig.evaluate`.

Examples:
  lalm-ambig evaluate --run runs/NAME --out out/                        the run's own test split
  lalm-ambig evaluate --run runs/NAME --corpus iemocap --root ~/IEMOCAP --split all --out out/
  lalm-ambig evaluate --run OWNER/NAME --corpus demo --out out/         an export on the hub
  lalm-ambig evaluate --policy qwen2_audio --corpus crema_d --root ~/CREMA-D --out out/
"""

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.types import ALL, PORTIONS, Portion
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.split_check import check_splits
from lalm_ambig.data.annotators import counted
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.estimation.eval_batch import fitted_batch
from lalm_ambig.evaluation.about import SAMPLED
from lalm_ambig.evaluation.annotator_table import result_tables
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.published import literature
from lalm_ambig.evaluation.responses import responses_of
from lalm_ambig.evaluation.results import Results
from lalm_ambig.files.families import is_family, member_folders
from lalm_ambig.inference.sources import folder_of, is_repository
from lalm_ambig.methods.base import Method
from lalm_ambig.reporting.family import print_family
from lalm_ambig.reporting.reading.inputs import ReportArgs
from lalm_ambig.runs.corpus_choice import (
    add_corpus_options,
    chosen_corpus,
    chosen_data,
    is_run_corpus,
    unchanged_corpus,
)
from lalm_ambig.runs.endpoint import evaluate_endpoint
from lalm_ambig.runs.endpoint_options import add_endpoint_options, check_options
from lalm_ambig.runs.evaluation import check_place
from lalm_ambig.runs.fold_by_fold import OPTION, SCALED, Folds, folds_of
from lalm_ambig.runs.folder.run_folder import RunFolder, open_run
from lalm_ambig.runs.loading import (
    LIMIT,
    SKIP_LONG,
    Loaded,
    PolicyChoice,
    add_policy_options,
    check_trained,
    chosen_policy,
    load,
    source_of,
)
from lalm_ambig.runs.processes.launch import quiet_libraries, single_device_trainer
from lalm_ambig.runs.rows import EvaluationRows
from lalm_ambig.runs.session import TrainedWeights, connect
from lalm_ambig.runs.trained_items import FLAG, HELP, overlap_of, record_of, refuse_trained
from lalm_ambig.tabular.writers import laid_out, terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict a split, write metrics.json and predictions.jsonl, and print the table beside uniform and prior.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.
    """
    quiet_libraries()
    console = Console()
    options = _options(arguments)
    if options.endpoint is not None:
        evaluate_endpoint(options, console)
    elif options.run is not None and is_family(str(options.run)):
        _evaluate_family(options, console)
    else:
        _evaluate(options, console)
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line: it names a policy, or an endpoint in its place."""
    parser = option_parser()
    options = parser.parse_args(arguments)
    if not any((options.run, options.config, options.policy, options.endpoint)):
        parser.error("one of the arguments --run --config --policy --endpoint is required")
    check_options(options)
    if options.split == ALL and options.fold is not None:
        raise InputError(
            "--split all takes the items of every fold:", where="--fold", remedy="leave one of the two out."
        )
    return options


def _evaluate_family(options: argparse.Namespace, console: Console) -> None:
    """Evaluate each run of a family into a folder of its own, and print the table over seeds and folds."""
    members = member_folders(str(options.run), where="--run")
    runs = {options.out / member.name: open_run(member.path).path for member in members}
    for folder, run in runs.items():
        check_trained(RunFolder(run))
        check_place(folder)
    for folder, run in runs.items():
        console.rule(run.name)
        _evaluate(argparse.Namespace(**{**vars(options), "run": run, "out": folder}), console)
    console.rule("all of them")
    print_family(ReportArgs(list(runs), runs=runs), console)
    scaled = {folder / SCALED: run for folder, run in runs.items() if options.temperature_scaling}
    if scaled:
        console.rule("all of them, with temperatures")
        print_family(ReportArgs(list(scaled), {one: one.parent.name for one in scaled}, runs=scaled), console)


def _evaluate(options: argparse.Namespace, console: Console) -> None:
    """Evaluate one policy."""
    loaded = load(_choice(options))
    labels = _labels(loaded.model, options)
    _check(loaded.model, options)
    data = _data(loaded, options)
    splits: tuple[Portion, ...] = (options.split,)
    splits += ("validation",) if options.temperature_scaling and options.split != ALL else ()
    data.setup()
    check_splits(data.corpus, data.prepared.counts(), splits)
    folds = _folds(data) if options.temperature_scaling and options.split == ALL else None
    overlap = _overlap(loaded, data, options)
    source = source_of(loaded, data.corpus)
    learnt = None if source is None else source.categories
    weights = TrainedWeights(loaded.adapter, learnt) if loaded.is_trained else None
    device = single_device_trainer(loaded.cli).strategy.root_device
    drawn = max([*options.samples, *labels])
    fit_batch = partial(fitted_batch, loaded.cli, device=device, console=console, responses=drawn)
    data = connect(loaded.model, data, weights=weights, splits=splits, device=device, fit_batch=fit_batch)
    overlap = overlap if not data.left_out else _overlap(loaded, data, options)
    count = counted(data.items(options.split), data.annotators)
    console.print(f"{loaded.label} on {count} of {data.corpus.full_name}, {_portion(options.split)}")
    for note in overlap.notes:
        console.print(f"[bold yellow]{escape(note)}[/bold yellow]", highlight=False)
    rows = EvaluationRows(loaded, data, source, options.split, options.out, overlap, folds)
    results = {**rows.baselines(console), **rows.policy(options.samples, labels)}
    floors = rows.floors(labels)
    results |= floors
    if options.temperature_scaling:
        results |= rows.scaled(options.samples[0])
    _show(results, floors, console)
    if len(rows.seconds) > 1:
        console.print(f"what averaging costs: {rows.costs()}")
    if options.literature:
        console.print(*_literature(data.corpus))
    console.print(f"metrics.json and predictions.jsonl: {options.out}")


def _choice(options: argparse.Namespace) -> PolicyChoice:
    """Return the policy that the options name. An export on a hub is fetched."""
    choice = chosen_policy(options)
    if choice.run is None:
        if options.revision is not None:
            raise InputError("goes with --run OWNER/NAME, an export on the hub.", where="--revision")
        return choice
    if options.revision is None and not (choice.run.exists() or is_repository(str(choice.run))):
        return choice  # the run folder's own error
    return replace(choice, run=folder_of(choice.run, revision=options.revision))


def _show(results: Mapping[str, Results], floors: Collection[str], console: Console) -> None:
    """Print the tables of the results."""
    for table in result_tables(results, bounds=floors):
        console.print(*laid_out(console, table))
    if (responses := responses_of(results)) is not None:
        console.print(*laid_out(console, responses))


def _overlap(loaded: Loaded, data: DataModule, options: argparse.Namespace) -> Overlap:
    """Return the items that the policy was trained on, and refuse any unless they are allowed."""
    record = record_of(loaded)
    overlap = overlap_of(record, data, options.split)
    is_own = options.corpus is None or is_run_corpus(options, loaded.data.corpus)
    remedies = _other_tests(options) if is_own and record.is_of_one_split else []
    refuse_trained(overlap, where="evaluate", allow=options.allow_trained_items, remedies=remedies)
    return overlap


def _folds(data: DataModule) -> Folds:
    """Return the folds in which the temperature is fitted where all items are tested."""
    try:
        every = data.prepared.items()
        folds = folds_of(data.corpus, every.ids(), judged=[item.judged for item in every])
    except InputError as error:
        what = f"with --split {ALL} the temperature is fitted fold by fold: {str(error).rstrip('.')}."
        raise InputError(what, where=OPTION, remedy="Leave it out.") from error
    folds.check_validation([item.id for item in data.items(ALL)])
    return folds


def _portion(split: str) -> str:
    return "all splits" if split == ALL else f"{split} split"


def _other_tests(options: argparse.Namespace) -> list[str]:
    """Return the remedy that leads to the run's own test: the options to leave out."""
    changed = [name for name in ("seed", "fold") if vars(options)[name] is not None]
    changed += ["split"] * (options.split != "test")
    changed = changed or ["option"] * bool(options.option)  # most options change no split
    return [f"leave {' and '.join(f'--{name}' for name in changed)} out"] if changed else []


def _labels(model: Method, options: argparse.Namespace) -> list[int]:
    """Return the numbers of one-label answers, and leave to `--samples` what is read in another way."""
    options.samples = options.samples or [model.generation.samples]
    readouts = options.readout or [model.readout]
    if SAMPLED not in readouts:
        return []
    labels = [count for count in options.samples if count > 1]
    if not labels:
        raise InputError(
            f"{SAMPLED} answers are the share of several labels, and of one nothing is known.",
            where="--samples",
            remedy="Name a number above 1, as 16.",
        )
    options.samples = [] if readouts == [SAMPLED] else options.samples
    return labels


def _one_sample(options: argparse.Namespace) -> None:
    """Reduce `--samples` to 1 for a policy that answers without reasoning. Refuse the option if it has no 1."""
    same = "without reasoning every sample is the same"
    if 1 not in options.samples:
        raise InputError(f"{same}.", where="--samples", remedy="Set it to 1, or add --reasoning.")
    print(f"--samples: {same}, so that there is one row, of 1.", file=sys.stderr)
    options.samples = [1]


def _check(model: Method, options: argparse.Namespace) -> None:
    """Refuse options that are invalid or contradict each other, before anything is read."""
    if min(options.samples, default=1) < 1:
        raise InputError(f"samples must be at least 1, got {min(options.samples)}.", where="--samples")
    if max(options.samples, default=1) > 1 and not model.generates_text:
        _one_sample(options)
    if options.temperature_scaling and (model.readout == "verbalised" or not options.samples):
        what = "a distribution in words has" if options.samples else "shares of sampled labels have"
        raise InputError(
            f"{what} no logits to scale.",
            where="--temperature-scaling",
            remedy="Leave it out.",
        )
    if options.temperature_scaling and options.split == "validation":
        raise InputError(
            "the temperature is fitted on the validation split, and --split validation is tested:",
            where="--temperature-scaling",
            remedy="leave one of them out.",
        )
    check_place(options.out)


def _data(loaded: Loaded, options: argparse.Namespace) -> DataModule:
    configured = bool(options.run or options.config)
    return chosen_data(
        options,
        _corpus(loaded, options, configured=configured),
        run_data=loaded.data if configured else None,
        scoring=loaded.data.scoring,
        eval_batch_size=options.batch_size or loaded.data.eval_batch_size,
    )


def _corpus(loaded: Loaded, options: argparse.Namespace, *, configured: bool) -> Corpus:
    if options.corpus is not None:
        return chosen_corpus(options, loaded.cli if configured else None)
    if not configured:
        raise InputError("--corpus is missing: which corpus is to be evaluated?", where="evaluate")
    fixed, owner = ["part", "seed", "fold", "option"], "configuration"
    if options.run is not None:  # `load` has given a configuration the root of the options
        fixed, owner = ["root", *fixed], "run"
    return unchanged_corpus(options, loaded.data.corpus, command="evaluate", owner=owner, fixed=fixed)


def _literature(corpus: Corpus) -> list[Table | str]:
    """Return tables of the papers' figures for a corpus, or a line that none are known."""
    tables: list[Table | str] = [*map(terminal, literature(corpus.name, corpus.part_or_target))]
    return tables or [f"no figures of papers are known for {corpus.full_name}"]


def option_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    parser = CommandParser(prog="python -m lalm_ambig.evaluate", description=__doc__)
    add_policy_options(parser, sampled=True, required=False)
    parser.add_argument("--revision", help="branch, tag or commit of an export on the hub (--run OWNER/NAME)")
    _add_corpus_options(parser)
    _add_reading_options(parser)
    add_endpoint_options(parser)
    return parser


def _add_corpus_options(parser: argparse.ArgumentParser) -> None:
    add_corpus_options(
        parser,
        default=" (default: the run's own)",
        seed="seed of the split (default: the run's, or 0)",
        fold=" (default: the run's, or the single split)",
        option="",
    )
    parser.add_argument(
        "--split",
        choices=PORTIONS,
        default="test",
        help="which items; all: of a corpus that was never trained on, its prior and temperature fold by fold "
        "(default: test)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help=LIMIT)
    parser.add_argument("--skip-long", action="store_true", help=SKIP_LONG)
    parser.add_argument(FLAG, action="store_true", help=HELP)


def _add_reading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--samples",
        type=int,
        nargs="+",
        metavar="N",
        help="mean distribution of N sampled responses in place of the greedy one (1); with --readout sampled the "
        "share of N one-label answers; several numbers: a row for each (default: as the run or configuration has it)",
    )
    parser.add_argument(
        "--temperature-scaling",
        action="store_true",
        help="a further row: the same predictions at the temperature that fits the validation split best, "
        "with --split all that of each fold",
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="items in a batch")
    parser.add_argument(
        "--literature", action="store_true", help="print what papers report on that corpus, below the tables"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for metrics.json and predictions.jsonl"
    )


if __name__ == "__main__":
    run_command(main)
