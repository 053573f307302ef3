"""Train a policy on a corpus and evaluate it on unseen items: `python -m lalm_ambig.fit`."""

import sys
from collections.abc import Iterable, Sequence
from functools import partial

from rich.console import Console

from lalm_ambig.config.callbacks import check_callbacks
from lalm_ambig.config.cli import Cli, RunSettings, namespace_name, parse
from lalm_ambig.config.family import Member, members, start_of_member
from lalm_ambig.core import distributed
from lalm_ambig.core.errors import run_command
from lalm_ambig.core.types import Split
from lalm_ambig.corpora.preparing.split_check import check_splits_at_hand
from lalm_ambig.estimation.estimate import print_estimate, processes
from lalm_ambig.estimation.eval_batch import fitted_batch
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.files.names import check_folder_name, component
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import parameter_counts
from lalm_ambig.reporting.family import print_family
from lalm_ambig.reporting.reading.inputs import ReportArgs
from lalm_ambig.runs.batch_checks.update_size import divide_updates
from lalm_ambig.runs.conclusion import conclude, part_of, show
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.processes.ending import explain_ending, remove_leftovers
from lalm_ambig.runs.processes.launch import launch, process_guard, quiet_libraries
from lalm_ambig.runs.processes.strategies import check_strategy, strategy_of
from lalm_ambig.runs.session import connect, weights_of_start
from lalm_ambig.runs.trained_items import history_of_start, write_record
from lalm_ambig.runs.training import Training


def main() -> int:
    """Run the configuration of the command line, or resume its run. `--folds` and `--seeds` run it once for each.

    Returns:
        The exit code.
    """
    quiet_libraries()
    console = Console()
    with process_guard(), explain_ending():
        return run_all(sys.argv[1:], console)


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
    if not family:
        _train(cli, console)
        return 0
    check_starts(family)
    runs = []
    for member in family:
        console.rule(member.title)
        runs.append(train(member.words, console, suffix=member.suffix).path)
    for split in ("validation", "test"):
        console.rule(f"all of them, {split}")
        print_family(ReportArgs(runs, split=split), console)
    listed = " ".join(map(str, runs))
    console.print(f"as files: python -m lalm_ambig.report {listed} --out DIR", soft_wrap=True)
    return 0


def check_starts(family: Iterable[Member]) -> None:
    """Check each run of a family before the first one is trained.

    Args:
        family: The runs.

    Raises:
        InputError: A run has an empty split, its start cannot be used, or the start was trained on its test items.
    """
    for member in family:
        cli = parse(member.words)
        start_of_member(cli)
        check_splits_at_hand(cli.datamodule.corpus)
        if cli.model.start is not None:
            weights_of_start(cli.model.start)
            history_of_start(cli.model, cli.datamodule, allow=cli.allows_trained_items)


def train(arguments: Sequence[str], console: Console, *, suffix: str = "") -> RunFolder:
    """Take a run from its configuration to its table. Steps whose results are on disk are not repeated.

    Args:
        arguments: Options of the configuration.
        console: Prints the run's lines and tables.
        suffix: End of the folder's name, if `run.name` is set. The default name depends on seed and fold anyway.

    Returns:
        The run folder.
    """
    return _train(parse(arguments), console, suffix=suffix)


def _train(cli: Cli, console: Console, *, suffix: str = "") -> RunFolder:
    start_of_member(cli)
    if name := cli.config_init["run"].name:
        check_folder_name(name, where="run.name")
    cli.check_devices()
    check_callbacks(vars(cli.config_init["trainer"]), cli.model, cli.datamodule)
    strategy = strategy_of(cli.config_init["trainer"]["strategy"])
    cli.check_precision(training=True)
    cli.check_seed()
    evaluator = launch(cli)
    divide_updates(cli.datamodule, cli.config_init["trainer"], world_size=distributed.world_size())
    console.quiet = console.quiet or not distributed.is_first()
    settings: RunSettings = cli.config_init["run"]
    run = RunFolder(settings.root / (f"{settings.name}{suffix}" if settings.name else default_name(cli)))
    state = distributed.on_rank_zero(lambda: run.state_for(cli.identity()))
    if state == "finished" and (not cli.tests or distributed.on_rank_zero(lambda: run.is_tested)):
        show(run, cli, console)
        return run
    console.print(f"run folder: {run.path}" + ("" if state == "new" else " (goes on)"))
    allow = cli.allows_trained_items
    past = distributed.on_rank_zero(lambda: history_of_start(cli.model, cli.datamodule, allow=allow))
    device = evaluator.strategy.root_device
    fit_batch = partial(fitted_batch, cli, device=device, console=console)
    data = connect(cli.model, cli.datamodule, training=True, device=device, fit_batch=fit_batch)
    check_strategy(strategy, cli.model, data)
    changed = distributed.on_rank_zero(lambda: run.record(cli.resolved(), cli.identity(), trainer=evaluator))
    overlap = distributed.on_rank_zero(lambda: write_record(run, data, past))
    console.print(_policy_line(cli.model.policy))
    if changed:
        console.print(
            f"goes on in another environment, so numbers may change: {'; '.join(changed)}", soft_wrap=True
        )
    for note in [*past.notes, *overlap.duplicates, *data.notes(), *cli.model.notes()]:
        console.print(note, highlight=False)
    overlaps: dict[Split, Overlap] = {"validation": past.of_validation, "test": overlap}
    finish(Training(run, cli.model, data, cli, strategy, evaluator, console, overlaps))
    return run


def finish(training: Training) -> None:
    """Do the remaining steps of a run, up to its tables.

    Args:
        training: The run.
    """
    distributed.on_rank_zero(lambda: remove_leftovers(training.run))
    base = {split: training.base(split) for split in training.splits}
    references = {split: training.references(split) for split in training.splits}
    training.fit()
    trained = {split: training.trained(split) for split in training.splits}

    def conclusion() -> None:
        results = {split: training.results(split, base[split], trained[split]) for split in trained}
        parts = [part_of(training, s, {**results[s], **references[s]}, trained[s]) for s in trained]
        conclude(training, parts)

    distributed.on_rank_zero(conclusion)


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
