"""Put a trained model behind a page and an HTTP interface on this machine: `python -m lalm_ambig.serve RUN`.

The page records or takes a clip, takes a text, and shows how people would divide over the classes.
Programs use `POST /v1/predict`; `/openapi.json` is the schema. Only this machine reaches it, unless
`--host` says otherwise. Nothing that is sent to it is kept, and it sends nothing to others.

Examples:
  lalm-ambig serve runs/x                               the page at http://127.0.0.1:8000/
  lalm-ambig serve owner/name --port 0 --no-page        a model of the hub, at a free port, no page
  lalm-ambig serve runs/x --host 0.0.0.0 --queue 200    for this whole network: no password
"""

import argparse
import asyncio
import gc
import sys
from collections.abc import Sequence
from functools import partial
from socket import socket

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.trust import add_allow_option
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.stopping import deferred, end_at_once, requested_signal
from lalm_ambig.inference.model import load
from lalm_ambig.runs.loading import add_path_option
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.examples import examples_of
from lalm_ambig.serving.guard import hosts_of, is_local
from lalm_ambig.serving.limits import Limits
from lalm_ambig.serving.running import address_of, listening_socket, run

PORT = 8000
STOP_S = 0.5
"""Longest wait at the end for a batch whose requests have been given up."""

LIMITS = Limits()
LIMIT_OPTIONS: tuple[tuple[str, int | float, str, str], ...] = (
    ("--max-upload-mb", LIMITS.upload_bytes / 1024**2, "MB", "largest sound file"),
    ("--max-duration-s", LIMITS.duration_s, "S", "longest recording"),
    ("--queue", LIMITS.queue, "N", "requests at once; others get 503"),
    ("--timeout-s", LIMITS.timeout_s, "S", "longest wait for an answer"),
)
"""Options that limit requests: name, default, unit and meaning."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Load the model, print the address, and serve until a signal comes.

    Args:
        arguments: The words of the command line; None for those of the process.

    Returns:
        The exit code, 0.

    Raises:
        InputError: A setting is wrong, the port is taken, or the model cannot be loaded.
    """
    options = _parser().parse_args(arguments)
    limits = _limits(options)
    taken = listening_socket(options.host, options.port)  # before the model is loaded, which takes long
    with taken:
        service = _service(options, limits)
        if not is_local(options.host):
            print(
                f"--host {options.host}: everybody who reaches this port can use the model; there is no password.",
                file=sys.stderr,
            )
        service.worker.start()
        gc.freeze()  # what is loaded lives as long as the process; to look through it takes two seconds at the end
        with deferred():
            hosts = hosts_of(options.host, options.allow_host)
            asyncio.run(run(service, taken, hosts=hosts, stops=_stops, started=partial(_say, taken)))
            if not service.worker.stop(STOP_S) and (by := requested_signal()) is not None:
                end_at_once(by)
    return 0


def _say(taken: socket) -> None:
    print(f"{address_of(taken)}  (Ctrl-C ends it)", flush=True)


def _stops() -> bool:
    return requested_signal() is not None


def _service(options: argparse.Namespace, limits: Limits) -> Service:
    model = load(
        options.run,
        policy_path=options.policy_path,
        device=options.device,
        precision=options.precision,
        classes=options.classes,
        prompt=options.prompt,
        allow_any_class=options.allow_any_class,
    )
    for note in model.notes:
        print(note, file=sys.stderr)
    if options.no_page:
        return Service(model, limits, has_page=False)
    examples, missing = examples_of(model, is_local=is_local(options.host))
    if missing is not None:
        print(f"no examples on the page: {missing}", file=sys.stderr)
    return Service(model, limits, examples=examples)


def _limits(options: argparse.Namespace) -> Limits:
    """The limits of the options.

    Raises:
        InputError: One is out of its range.
    """
    for name, lowest, highest in (
        ("max_upload_mb", 0.001, 1024),
        ("max_duration_s", 0.1, 3600),
        ("queue", 1, 100_000),
        ("timeout_s", 1, 86_400),
        ("port", 0, 65_535),
    ):
        value = getattr(options, name)
        if not lowest <= value <= highest:
            where = f"--{name.replace('_', '-')}"
            raise InputError(f"expected {lowest:g} to {highest:,g}, got {value:g}.", where=where)
    return Limits(
        upload_bytes=int(options.max_upload_mb * 1024**2),
        duration_s=options.max_duration_s,
        queue=options.queue,
        timeout_s=options.timeout_s,
    )


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = CommandParser(prog="python -m lalm_ambig.serve", description=__doc__, formatter_class=form)
    parser.add_argument(
        "run", help="a run folder of fit, a folder of export, or OWNER/NAME of an export on the hub"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to bind to (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument("--port", type=int, default=PORT, help=f"port; 0 takes a free one (default: {PORT})")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name of this server, as of a proxy in front",
    )
    for name, default, unit, meaning in LIMIT_OPTIONS:
        meaning = f"{meaning} (default: {default:g})"
        parser.add_argument(name, type=type(default), default=default, metavar=unit, help=meaning)
    parser.add_argument(
        "--no-page", action="store_true", help="serve the interface alone, without page and examples"
    )
    add_path_option(parser)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")
    parser.add_argument(
        "--precision", help="as Lightning's trainer takes it, such as bf16-mixed (default: the run's)"
    )
    parser.add_argument("--classes", help="comma-separated class names (default: the run's)")
    parser.add_argument(
        "--prompt", help="stem of a prompt in lalm_ambig/prompts, or a .txt file (default: the run's)"
    )
    add_allow_option(parser)
    return parser


if __name__ == "__main__":
    run_command(main)
