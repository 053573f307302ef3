"""From the command line's settings to an open line: client, limits and models."""

import argparse
import os
from collections.abc import Callable

from data_curation.breaker import Breaker
from data_curation.budget import Budget, prices_of
from data_curation.client import DEFAULT_URL, ChatClient
from data_curation.dialect import Dialect
from data_curation.exchange import Exchange
from data_curation.gate import Gate
from data_curation.limits import Limits, Model
from data_curation.records import Role
from lalm_ambig.errors import InputError

DEFAULT_MODEL = "gpt-audio-1.5"
TEXT_OPTIONS = {
    "model": "model that hears the clip and writes (default: %(default)s)",
    "validator-model": "model that validates, from the text alone (default: the one of --model)",
    "base-url": "any OpenAI-compatible server; HTTPS unless it is on this machine (default: the environment "
    "variable OPENAI_BASE_URL, else OpenAI)",
}
NUMBER_OPTIONS: dict[str, tuple[type[int] | type[float], float | None, str]] = {
    "concurrency": (int, 8, "items worked on at once"),
    "rpm": (int, None, "most requests a minute"),
    "tpm": (int, None, "most tokens a minute"),
    "max-cost-usd": (
        float,
        None,
        "hard cap on what FILE costs, all runs together; calls in flight count at their worst",
    ),
    "retries": (
        int,
        5,
        "how often a call is repeated after a time-out, a dropped connection or a server's error",
    ),
    "retry-pause": (float, 0.5, "seconds before the first repetition, doubled each time"),
    "timeout": (float, 120.0, "seconds to wait for a reply"),
    "temperature": (float, None, "sampling temperature; the server's own if it is not given"),
    "price-text-in": (
        float,
        None,
        "US dollars per million text tokens in, instead of data_curation/prices.json",
    ),
    "price-audio-in": (float, None, "the same for audio tokens in"),
    "price-out": (float, None, "the same for tokens out"),
}


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Options of every command that asks a model."""
    server = parser.add_argument_group(
        "server (the key comes from the environment variable OPENAI_API_KEY only)"
    )
    for name, help_text in TEXT_OPTIONS.items():
        server.add_argument(f"--{name}", help=help_text, default=DEFAULT_MODEL if name == "model" else None)
    server.add_argument(
        "--structured",
        choices=("auto", "tool", "json_schema", "text"),
        default="auto",
        help="how a structured reply is asked for; auto: forced tool call, JSON schema or words, "
        "as the server allows (default: %(default)s)",
    )
    numbers = parser.add_argument_group("limits and prices")
    for name, (kind, default, help_text) in NUMBER_OPTIONS.items():
        shown = "" if default is None else " (default: %(default)s)"
        numbers.add_argument(f"--{name}", type=kind, default=default, metavar="N", help=help_text + shown)


def models_of(args: argparse.Namespace) -> dict[Role, Model]:
    """The two models with their prices; the user's own prices hold for both."""
    overrides = {"text_in": args.price_text_in, "audio_in": args.price_audio_in, "out": args.price_out}
    validator = args.validator_model or args.model
    return {
        "writer": Model(args.model, prices_of(args.model, overrides)),
        "validator": Model(validator, prices_of(validator, overrides)),
    }


def unknown_price_note(models: dict[Role, Model], *, capped: bool) -> str | None:
    """A line about models without a price; InputError where a cap depends on it."""
    unknown = sorted({model.name for model in models.values() if model.prices is None})
    if not unknown:
        return None
    what = f"no price is known for {', '.join(unknown)}"
    if capped:
        options = "--price-text-in, --price-audio-in and --price-out"
        raise InputError(f"{what}: --max-cost-usd needs {options} (0 is a price)")
    return f"note: {what}; its cost counts as 0"


def open_line(
    args: argparse.Namespace, *, spent_usd: float, announce: Callable[[str], None]
) -> tuple[ChatClient, Exchange]:
    """A client, to be closed by the caller, and the exchange that speaks through it.

    InputError for settings that mean nothing, an unsafe URL or a missing key.
    """
    for name in ("concurrency", "retries", "timeout", "retry_pause"):
        value = getattr(args, name)
        if value < (name == "concurrency"):
            raise InputError(
                f"must not be below {int(name == 'concurrency')}, got {value}", where=f"--{name}"
            )
    models = models_of(args)
    if note := unknown_price_note(models, capped=args.max_cost_usd is not None):
        announce(note)
    limits = Limits(
        gate=Gate(rpm=args.rpm, tpm=args.tpm, announce=announce),
        budget=Budget(args.max_cost_usd, spent_usd=spent_usd),
        breaker=Breaker(concurrency=args.concurrency),
        retries=args.retries,
        pause_s=args.retry_pause,
    )
    client = ChatClient(
        args.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL,
        api_key=os.environ.get("OPENAI_API_KEY"),
        timeout_s=args.timeout,
        concurrency=args.concurrency,
    )
    return client, Exchange(client, limits=limits, models=models, dialects=_dialects(args))


def _dialects(args: argparse.Namespace) -> dict[Role, Dialect]:
    auto = args.structured == "auto"
    start = Dialect("tool" if auto else args.structured, may_fall_back=auto, temperature=args.temperature)
    return {"writer": start, "validator": start}
