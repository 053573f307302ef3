"""Train a policy on a corpus and evaluate it on unseen items: `python -m lalm_ambig.fit`."""

import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from rich import get_console
from rich.console import Console
from torch import get_num_threads

from lalm_ambig.config.callbacks import check_callbacks, check_patience, listed
from lalm_ambig.config.cli import Cli, RunSettings, namespace_name, parse
from lalm_ambig.config.family import Member, members, start_of_member
from lalm_ambig.core import distributed
from lalm_ambig.core.door import shown
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.threads import crowding_note
from lalm_ambig.core.types import Split
from lalm_ambig.corpora.preparing.split_check import check_splits_at_hand
from lalm_ambig.estimation.estimate import print_estimate, processes
from lalm_ambig.estimation.eval_batch import fitted_batch
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.files.names import check_folder_name, component
from lalm_ambig.methods.step_metrics import NotFinite
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import parameter_counts
from lalm_ambig.reporting.family import print_family
from lalm_ambig.reporting.range_test import write_range_test
from lalm_ambig.reporting.reading.inputs import ReportArgs
from lalm_ambig.reporting.sweep import summarise
from lalm_ambig.runs.batch_checks.update_size import divide_updates
from lalm_ambig.runs.conclusion import conclude, part_of, show
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.learning_rate import range_test
from lalm_ambig.runs.logs import check_loggers
from lalm_ambig.runs.processes.ending import explain_ending, remove_leftovers
from lalm_ambig.runs.processes.launch import launch, process_guard, quiet_libraries
from lalm_ambig.runs.processes.strategies import check_strategy, strategy_of
from lalm_ambig.runs.session import connect, weights_of_start
from lalm_ambig.runs.trained_items import history_of_start, write_record
from lalm_ambig.runs.training import Training
from lalm_ambig.tabular.writers import laid_out


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the configuration of the command line, or resume its run. `--folds` and `--seeds` run it once for each.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code.
    """
    quiet_libraries()
    console = get_console()  # also that of Lightning's bar, which lines are then printed above of
    with process_guard(), explain_ending():
        return run_all(sys.argv[1:] if arguments is None else arguments, console)


def run_all(words: Sequence[str], console: Console) -> int:
    """Run one command line: one run, a run per fold and seed, or the estimate of its memory.

    Args:
        words: The command line.
        console: Prints the run's lines and tables.

    Returns:
        The exit code, 0.
    """
    cli = parse(words)
    if (assumptions := cli.assumptions) is not None:
        cli.check_precision(training=True)
        check_splits_at_hand(cli.datamodule.corpus)
        trainer = cli.config_init["trainer"]
        divide_updates(cli.datamodule, trainer, world_size=processes(trainer))
        print_estimate(cli, assumptions, console)
        return 0
    family = members(cli, words)
    if cli.find_steps is not None:
        if family:
            raise InputError(
                "it is for one run, and not for a family of them:",
                where="--find-lr",
                remedy="leave out --seeds, --folds and --sweep.",
            )
        find_rate(cli, cli.find_steps, console)
        return 0
    if not family:
        _train(cli, console)
        return 0
    check_starts(family)
    if cli.sweep is not None:
        sweep(cli, family, console)
        return 0
    runs = []
    for member in family:
        console.rule(member.title)
        runs.append(train(member.words, console, suffix=member.suffix).path)
    show_family(runs, ("validation", "test"), console)
    return 0


def show_family(runs: Sequence[Path], splits: Sequence[Split], console: Console) -> None:
    """Print the tables of a family over its seeds and folds, and how to write them into files.

    Args:
        runs: Its folders.
        splits: The splits that its runs were evaluated on.
        console: Prints.
    """
    for split in splits:
        console.rule(f"all of them, {split}")
        print_family(ReportArgs(runs, split=split), console)
    listed = " ".join(map(str, runs))
    console.print(shown(f"as files: lalm-ambig report {listed} --out DIR"), soft_wrap=True)


def sweep(cli: Cli, family: Sequence[Member], console: Console) -> None:
    """Train the runs of a sweep, compare them by validation, and evaluate the test split of the best if asked to.

    Args:
        cli: The configuration, with `--sweep`.
        family: Its runs.
        console: Prints.
    """
    axes = cli.sweep or ()
    runs: dict[tuple[str, ...], list[Path | None]] = {}
    for member in family:
        console.rule(member.title)
        row = runs.setdefault(member.point, [])
        try:
            row.append(train(member.words, console, suffix=member.suffix).path)
        except NotFinite as error:
            console.print(f"diverged: {error}", highlight=False, markup=False, soft_wrap=True)
            row.append(None)
    console.rule("all of them, validation")
    found = summarise([axis.name for axis in axes], runs, cli.model.monitor.partition("/")[2])
    console.print(*laid_out(console, found.table))
    if found.best is None:
        return
    point = list(runs)[found.best]
    chosen = [member for member in family if member.point == point]
    options = " ".join(f"--{axis.key}={value}" for axis, value in zip(axes, point, strict=True))
    console.print(f"best by validation: {options}", highlight=False, markup=False, soft_wrap=True)
    if not cli.config["test"]:
        line = "the test split was not looked at: --test evaluates it for the best alone"
        console.print(line, highlight=False)
        return
    console.rule("the best, test")
    tested = [train(m.words, console, suffix=m.suffix, chosen=True).path for m in chosen]
    if len(tested) > 1:
        show_family(tested, ("test",), console)


def find_rate(cli: Cli, steps: int, console: Console) -> None:
    """Suggest a learning rate by a range test, and write its losses beside the runs. No run is made.

    Args:
        cli: The configuration.
        steps: Updates of the test.
        console: Prints.

    Raises:
        InputError: Several processes are asked for and `data.items_per_update` is not set.
    """
    _check(cli)
    settings, trainer = cli.config_init["run"], cli.config_init["trainer"]
    if processes(trainer) > 1 and cli.datamodule.items_per_update is None:
        raise InputError(
            "it takes one process, in which an update of these settings would have fewer items:",
            where="--find-lr",
            remedy="set data.items_per_update.",
        )
    divide_updates(cli.datamodule, trainer, world_size=1)
    stem = f"{settings.name or default_name(cli)}-lr"
    tested = range_test(cli, steps)
    if not tested.losses:
        raise InputError("the first update's loss is not finite already.", where="--find-lr")
    rows = list(zip(tested.rates, tested.losses, tested.smoothed, strict=True))
    files = write_range_test(rows, suggested=tested.suggested, folder=settings.root, stem=stem)
    if tested.suggested is None:
        line = "no suggestion: the loss falls no further than its noise; more updates may show more"
    else:
        line = f"a tenth of the rate with the lowest loss: --model.optimiser.learning_rate {tested.suggested:.1e}"
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{len(tested.losses)} updates, no validation: compare some values near it by --sweep",
        highlight=False,
    )
    console.print(f"losses: {' '.join(map(str, files))}", highlight=False, markup=False, soft_wrap=True)


def check_starts(family: Iterable[Member]) -> None:
    """Check each run of a family before the first one is trained.

    Args:
        family: The runs.

    Raises:
        InputError: Two runs of a sweep are the same, a run has an empty split, its start cannot be used,
            or the start was trained on its test items.
    """
    seen: dict[str, str] = {}
    for member in family:
        cli = parse(member.words)
        start_of_member(cli)
        if member.point and (other := seen.setdefault(cli.identity(), member.title)) != member.title:
            raise InputError(
                f"{other} and {member.title} are the same run: nothing that the key changes counts in a result.",
                where="--sweep",
                remedy="Leave one out, or sweep another key.",
            )
        check_splits_at_hand(cli.datamodule.corpus)
        if cli.model.start is not None:
            weights_of_start(cli.model.start)
            history_of_start(cli.model, cli.datamodule, allow=cli.allows_trained_items)


def train(arguments: Sequence[str], console: Console, *, suffix: str = "", chosen: bool = False) -> RunFolder:
    """Take a run from its configuration to its table. Steps whose results are on disk are not repeated.

    Args:
        arguments: Options of the configuration.
        console: Prints the run's lines and tables.
        suffix: End of the folder's name, if `run.name` is set. The default name depends on seed and fold anyway.
        chosen: Whether a sweep has chosen this run, so that it is tested.

    Returns:
        The run folder.
    """
    cli = parse(arguments)
    if chosen:
        cli.tests_chosen()
    return _train(cli, console, suffix=suffix)


def _train(cli: Cli, console: Console, *, suffix: str = "") -> RunFolder:
    strategy = _check(cli)
    evaluator = launch(cli)
    check_loggers(cli.loggers, listed(cli.config_init["trainer"]["logger"]))
    divide_updates(cli.datamodule, cli.config_init["trainer"], world_size=distributed.world_size())
    console.quiet = console.quiet or not distributed.is_first()
    settings: RunSettings = cli.config_init["run"]
    run = RunFolder(settings.root / (f"{settings.name}{suffix}" if settings.name else default_name(cli)))
    state = distributed.on_rank_zero(lambda: run.state_for(cli.identity()))
    if state == "finished" and (not cli.tests or distributed.on_rank_zero(lambda: run.is_tested)):
        show(run, cli, console)
        return run
    with ExitStack() as held:
        distributed.on_rank_zero(lambda: held.enter_context(run.being_trained()))
        console.print(f"run folder: {run.path}" + ("" if state == "new" else " (goes on)"))
        _run(run, cli, strategy, evaluator, console)
    return run


def _run(run: RunFolder, cli: Cli, strategy: Any, evaluator: Any, console: Console) -> None:
    """Do what a run still needs, from its start's history to its tables."""
    device = evaluator.strategy.root_device
    allow = cli.allows_trained_items
    past = distributed.on_rank_zero(lambda: history_of_start(cli.model, cli.datamodule, allow=allow))
    fit_batch = partial(fitted_batch, cli, device=device, console=console)
    data = connect(cli.model, cli.datamodule, training=True, device=device, fit_batch=fit_batch)
    check_strategy(strategy, cli.model, data)
    changed = distributed.on_rank_zero(lambda: run.record(cli.resolved(), cli.identity(), trainer=evaluator))
    overlap = distributed.on_rank_zero(lambda: write_record(run, data, past))
    if device.type == "cpu" and distributed.world_size() == 1 and (full := crowding_note(get_num_threads())):
        print(full, file=sys.stderr)
    console.print(_policy_line(cli.model.policy))
    if changed:
        console.print(
            f"goes on in another environment, so numbers may change: {'; '.join(changed)}", soft_wrap=True
        )
    for note in [*past.notes, *overlap.duplicates, *data.notes(), *cli.model.notes()]:
        console.print(note, highlight=False)
    overlaps: dict[Split, Overlap] = {"validation": past.of_validation, "test": overlap}
    finish(Training(run, cli.model, data, cli, strategy, evaluator, console, overlaps))


def finish(training: Training) -> None:
    """Do the remaining steps of a run, up to its tables.

    Args:
        training: The run.
    """
    distributed.on_rank_zero(lambda: remove_leftovers(training.run))
    base = {split: training.base(split) for split in training.splits}
    references = training.references()
    training.fit()
    trained = {split: training.trained(split) for split in training.splits}

    def conclusion() -> None:
        results = {split: training.results(split, base[split], trained[split]) for split in trained}
        parts = [part_of(training, s, {**results[s], **references[s]}, trained[s]) for s in trained]
        conclude(training, parts)

    distributed.on_rank_zero(conclusion)


def _check(cli: Cli) -> Any:
    """Check a run's settings before anything is read, and return its strategy."""
    start_of_member(cli)
    if name := cli.config_init["run"].name:
        check_folder_name(name, where="run.name")
    cli.check_devices()
    check_callbacks(vars(cli.config_init["trainer"]), cli.model, cli.datamodule)
    check_patience(cli.config_init["run"].patience, vars(cli.config_init["trainer"]))
    strategy = strategy_of(cli.config_init["trainer"]["strategy"])
    cli.check_precision(training=True)
    cli.check_seed()
    return strategy


def _policy_line(policy: Policy) -> str:
    counts = parameter_counts(policy)
    every, trained = counts["parameters"] / 1e6, counts["trained"] / 1e6
    return f"policy: {policy.description}, {every:.1f} M parameters, {trained:.2f} M of them trained"


def default_name(cli: Cli) -> str:
    """Return a run's default name, corpus-policy-method-hash. The same configuration always has the same folder.

    Args:
        cli: The configuration.

    Returns:
        A name for a folder.
    """
    corpus = component(cli.datamodule.corpus.name)
    return f"{corpus}-{namespace_name(cli.config, 'policy')}-{namespace_name(cli.config, 'model')}-{cli.identity()}"


if __name__ == "__main__":
    run_command(main)
