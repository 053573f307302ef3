"""Check installation, policy and class names before a long run: `python -m lalm_ambig.doctor`.

Takes --policy YAML (default: the tiny model) or --config FILE ..., and options as `fit` does (--policy.path FOLDER
for a checkpoint by itself). The exit code is 0 if every check passed, 1 if one failed, 2 for a mistake in the options.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lalm_ambig.checks.environment import check_environment
from lalm_ambig.checks.outcome import CheckResult
from lalm_ambig.core.errors import EXIT_CHECK_FAILED, EXIT_OK, InputError, run_command

USAGE = "usage: python -m lalm_ambig.doctor [--policy YAML | --config FILE ...] [--KEY VALUE ...]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every check and print a table.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code: 0 if every check passed, 1 if one failed.
    """
    options = sys.argv[1:] if arguments is None else list(arguments)
    if {"-h", "--help"} & set(options):
        print(f"{USAGE}\n\n{__doc__}")
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
    """Return the options for `fit`: `--policy FILE` is replaced by configuration files."""
    from lalm_ambig.config.files import config_folder

    if any(argument.startswith(("--config", "-c")) for argument in options):
        return list(options)
    words = [
        word
        for argument in options
        for word in (argument.split("=", 1) if _is_policy(argument) else [argument])
    ]
    rest = [str(config_folder() / name) for name in _REST]
    if "--policy" not in words:
        first = str(config_folder() / "policy/tiny.yaml")
        return [*(f"--config={file}" for file in (first, *rest)), *_ADAPTER, *words]
    at = words.index("--policy")
    if at + 1 == len(words):
        raise InputError("no file is given: --policy YAML, e.g. configs/policy/tiny.yaml", where="doctor")
    return [*(f"--config={file}" for file in (words[at + 1], *rest)), *words[:at], *words[at + 2 :]]


def _is_policy(argument: str) -> bool:
    return argument.startswith("--policy=")


_REST = ("data/demo.yaml", "method/sft.yaml")
_ADAPTER = ["--policy.adapter.method=lora"]  # the checks of the adapter need one


def _table(results: Sequence[CheckResult]) -> Table:
    table = Table(show_lines=False)
    for head in ("check", "", "found", "what to do"):
        table.add_column(head, overflow="fold")
    for outcome in results:
        mark = "[green]pass[/green]" if outcome.ok else "[bold red]FAIL[/bold red]"
        table.add_row(escape(outcome.name), mark, escape(outcome.finding), escape(outcome.remedy))
    return table


if __name__ == "__main__":
    run_command(main)
