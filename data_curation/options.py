"""The options of `write` and `validate`: parsing only, so that help and offline commands need no openai."""

import argparse
from pathlib import Path

from data_curation.judge import JS_THRESHOLD

SPLITS = ("train", "validation", "test")
WRITER_HELP = """openai: a large audio model hears the clip, writes, and validates from the text alone.
acoustic: sentences made from measured loudness, pitch, rate, pauses and spectrum; offline, no key."""
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


def add_write_options(parser: argparse.ArgumentParser) -> None:
    """Options of `write`."""
    add = parser.add_argument
    add("--writer", choices=("openai", "acoustic"), required=True, help=WRITER_HELP)
    add(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON Lines file, appended to; the same command again goes on where it stopped",
    )
    add(
        "--preview",
        type=int,
        metavar="N",
        help="only the first N items, and show what was written; kept and paid for like all others",
    )
    add(
        "--retry-failed",
        action="store_true",
        help="write those again whose last outcome was rejected, refused or unreadable",
    )
    _add_corpus_options(parser)
    _add_openai_options(parser)
    add_server_options(parser)


def add_validate_options(parser: argparse.ArgumentParser) -> None:
    """Options of `validate`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="what `write` wrote")
    parser.add_argument(
        "--js-threshold",
        type=float,
        default=JS_THRESHOLD,
        metavar="BITS",
        help="largest JS divergence between validation and votes (default: %(default)g)",
    )
    parser.add_argument(
        "--update", action="store_true", help="append a row for each verdict that has changed"
    )
    parser.add_argument(
        "--ask-model",
        action="store_true",
        help="ask the validator again about every openai row that keeps the rules; costs, implies --update",
    )
    add_server_options(parser)


def _add_corpus_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("items").add_argument
    add(
        "--corpus", required=True, metavar="NAME", help="corpus, by the name of its module (crema_d, demo, …)"
    )
    add("--root", type=Path, metavar="DIR", help="folder of the corpus as distributed, or hf://owner/name")
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of that corpus, as votes=face for crema_d; may be repeated",
    )
    add("--part", metavar="NAME", help="only this part of a corpus that has parts")
    add("--split", action="append", choices=SPLITS, default=[], help="only this split; may be repeated")
    add("--seed", type=int, default=0, help="seed of the split and of the acoustic writer's wording")
    add("--limit", type=int, metavar="N", help="only the first N items")


def _add_openai_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("openai writer").add_argument
    add(
        "--dry-run",
        action="store_true",
        help="show items, seconds of audio and the range of the cost; sends nothing, needs no key",
    )
    add(
        "--attempts",
        type=int,
        default=3,
        metavar="N",
        help="how often one item is written at most (default: %(default)s)",
    )
    add(
        "--js-threshold",
        type=float,
        default=JS_THRESHOLD,
        metavar="BITS",
        help="largest JS divergence between validation and votes (default: %(default)g)",
    )
    add(
        "--confirm-upload",
        action="store_true",
        help="the licence of the corpus allows you to send its clips to this server",
    )
