"""Check installation, policy and class names before a long run: `python -m lalm_ambig.doctor`.

Takes --policy NAME (default: the tiny model) or --config FILE ..., and options as `fit` does
(--policy.path FOLDER for a checkpoint by itself). The exit code is 0 if every check passed,
1 if one failed, 2 for a mistake in the options.

Examples:
  lalm-ambig doctor
  lalm-ambig doctor --policy qwen2_audio
  lalm-ambig doctor --policy qwen2_audio --policy.path FOLDER
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lalm_ambig.checks.environment import check_environment
from lalm_ambig.checks.outcome import CheckResult
from lalm_ambig.core.door import shown
from lalm_ambig.core.errors import EXIT_CHECK_FAILED, EXIT_OK, InputError, run_command

USAGE = "usage: lalm-ambig doctor [--policy NAME | --config FILE ...] [--KEY VALUE ...]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check and print a table.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code: 0 if every check passed, 1 if one failed.
    """
    options = sys.argv[1:] if arguments is None else list(arguments)
    if {"-h", "--help"} & set(options):
        print(shown(f"{USAGE}\n\n{__doc__}"))
        return EXIT_OK
    console = Console()
    results = list(check_environment())
    if all(outcome.ok for outcome in results):
        results += _check_gpus()
        results += _check_policy(options)
    console.print(_table(results))
    failed = sum(not outcome.ok for outcome in results)
    console.print(
        f"{failed} of {len(results)} checks failed." if failed else f"All {len(results)} checks passed."
    )
    return EXIT_CHECK_FAILED if failed else EXIT_OK


def _check_gpus() -> Iterator[CheckResult]:
    """Check the GPUs. The module is imported here, after the installation was checked."""
    from lalm_ambig.checks.gpu import check_gpus

    yield from check_gpus()


def _check_policy(options: Sequence[str]) -> Iterator[CheckResult]:
    """Check the policy. Its modules are imported here, after the installation was checked."""
    from lalm_ambig.checks.audio import check_audio
    from lalm_ambig.checks.model import check_abilities, check_adapter, check_forward, check_tokens
    from lalm_ambig.config.cli import parse
    from lalm_ambig.policies.audio_model import AudioModel
    from lalm_ambig.runs.processes.launch import quiet_libraries, single_device_trainer

    quiet_libraries()
    cli = parse(_as_fit(options))
    yield _devices(cli)
    policy, corpus = cli.model.policy, cli.datamodule.corpus
    cli.use_what_is_there()  # `devices` has said what is missing
    policy.load(single_device_trainer(cli).strategy.root_device)
    policy.eval()
    yield CheckResult("policy loads", True, f"{policy.description}, on {policy.device}")
    for note in policy.notes:
        yield CheckResult("note", True, note)
    yield from check_abilities(policy)
    try:
        cli.model.check_abilities(training=False)
    except InputError as error:
        yield CheckResult("model.share_prompt", False, str(error))
    yield from check_forward(policy)
    if isinstance(policy, AudioModel):
        yield from check_audio(policy)
    yield from check_tokens(policy, corpus.categories, corpus=corpus.name)
    yield from check_adapter(policy)


def _devices(cli: Any) -> CheckResult:
    """Check the devices that a run with this configuration would use."""
    from lalm_ambig.config.devices import seen

    try:
        cli.check_devices()
    except InputError as error:
        return CheckResult("devices", False, str(error), "see what was found")
    return CheckResult("devices", True, seen())


def _as_fit(options: Sequence[str]) -> list[str]:
    """Return the options for `fit`: what no option chooses is that of the tiny model on the demo."""
    names = {argument.partition("=")[0] for argument in options}
    if any(name in ("--config", "--preset") or name.startswith("-c") for name in names):
        return list(options)
    rest = [word for word, others in _REST.items() if not names & others]
    return [*rest, *([] if "--policy" in names else ["--policy=tiny", *_ADAPTER]), *options]


_REST = {"--data=demo": {"--data", "--data.corpus"}, "--method=sft": {"--method", "--model"}}
"""What is added, unless one of these options chooses it."""
_ADAPTER = ["--policy.adapter.method=lora"]  # the checks of the adapter need one


def _table(results: Sequence[CheckResult]) -> Table:
    table = Table(show_lines=False)
    for head in ("check", "", "found", "what to do"):
        table.add_column(head, overflow="fold")
    for outcome in results:
        mark = "[green]pass[/green]" if outcome.ok else "[bold red]FAIL[/bold red]"
        table.add_row(escape(outcome.name), mark, escape(outcome.finding), escape(shown(outcome.remedy)))
    return table


if __name__ == "__main__":
    run_command(main)
