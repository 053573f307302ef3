"""Options of `evaluate --endpoint`: where it is, what it may cost, and what may be sent there."""

import argparse
import math
from typing import Any

from lalm_ambig.config.corpus_options import option_values
from lalm_ambig.core.errors import InputError
from lalm_ambig.endpoint.limits import Limits, Prices
from lalm_ambig.endpoint.place import KEY
from lalm_ambig.evaluation.about import SAMPLED

OPTIONS = (
    "model",
    "api_key_env",
    "confirm_upload",
    "max_cost_usd",
    "price_text_in",
    "price_audio_in",
    "price_out",
    "max_tokens_total",
    "concurrency",
    "rpm",
    "retries",
    "timeout",
    "setting",
)
"""Options that only an endpoint has."""
POLICY_OPTIONS = (
    ("policy", "--policy"),
    ("policy_path", "--policy.path"),
    ("samples", "--samples"),
    ("temperature_scaling", "--temperature-scaling"),
    ("batch_size", "--batch-size"),
    ("precision", "--precision"),
    ("skip_long", "--skip-long"),
    ("allow_trained_items", "--allow-trained-items"),
)
"""Options that only a policy has."""
RESERVED = (
    "model",
    "messages",
    "n",
    "stream",
    "max_tokens",
    "max_completion_tokens",
    "logprobs",
    "top_logprobs",
)
"""Settings of a request that are not the user's."""
DEFAULT_CONCURRENCY, DEFAULT_RETRIES, DEFAULT_TIMEOUT_S = 8, 6, 300.0


def add_endpoint_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of an endpoint.

    Args:
        parser: Of `evaluate`.
    """
    add = parser.add_argument_group(
        "a model behind an endpoint, in place of a policy (docs/guides/endpoint.md)",
        "--run or --config then give the corpus, its split and the prompt",
    ).add_argument
    add("--endpoint", metavar="URL", help="a Chat Completions server, as http://localhost:8000/v1")
    add("--model", metavar="NAME", help="the model's name there")
    add("--api-key-env", metavar="NAME", help=f"environment variable of the key (default: {KEY})")
    add(
        "--confirm-upload",
        action="store_true",
        help="you may send this corpus's texts and clips to that machine",
    )
    add(
        "--max-cost-usd",
        type=float,
        metavar="USD",
        help="end before a call that could exceed it; needs prices",
    )
    add("--price-text-in", type=float, metavar="USD", help="per million tokens of prompts")
    add("--price-audio-in", type=float, metavar="USD", help="per million tokens of sound")
    add("--price-out", type=float, metavar="USD", help="per million tokens of answers")
    add(
        "--max-tokens-total", type=int, metavar="N", help="end before a call that could exceed so many tokens"
    )
    add("--concurrency", type=int, metavar="N", help=f"items at once (default: {DEFAULT_CONCURRENCY})")
    add("--rpm", type=float, metavar="N", help="most requests per minute")
    add("--retries", type=int, metavar="N", help=f"tries after a failed call (default: {DEFAULT_RETRIES})")
    add(
        "--timeout",
        type=float,
        metavar="S",
        help=f"longest wait for an answer (default: {DEFAULT_TIMEOUT_S:g} s)",
    )
    add(
        "--setting",
        action="append",
        metavar="KEY=VALUE",
        help="a further setting of each request, as reasoning_effort=low; VALUE may be JSON",
    )


def check_options(options: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything is read.

    Args:
        options: Those of `evaluate`.

    Raises:
        InputError: An option is of the other kind, missing, or out of its range.
    """
    given = vars(options)
    if options.endpoint is None:
        if wrong := next((name for name in OPTIONS if given[name] not in (None, False)), None):
            flag = "--" + wrong.replace("_", "-")
            raise InputError("goes with --endpoint URL:", where=flag, remedy="add one, or leave it out.")
        return
    if wrong := next((flag for name, flag in POLICY_OPTIONS if given[name] not in (None, False)), None):
        raise InputError(
            "is about a policy, and the endpoint answers in its place:", where=wrong, remedy="leave it out."
        )
    if options.model is None or not options.model.strip():
        raise InputError("--model NAME is missing: which model of the endpoint is asked?", where="--endpoint")
    if SAMPLED in (options.readout or []):
        raise InputError(
            f"{SAMPLED} labels are not asked for at an endpoint.",
            where="--readout",
            remedy="Take logits, verbalised or both.",
        )
    _check_numbers(options)


def _check_numbers(options: argparse.Namespace) -> None:
    least = {"max_cost_usd": 0.0, "rpm": 0.0, "timeout": 0.0}
    for name, value in vars(options).items():
        if name in least and value is not None and not (value > 0 and math.isfinite(value)):
            raise InputError(f"must be above 0, got {value:g}", where="--" + name.replace("_", "-"))
        if name.startswith("price_") and value is not None and not (value >= 0 and math.isfinite(value)):
            raise InputError(f"must be at least 0, got {value:g}", where="--" + name.replace("_", "-"))
    for name in ("concurrency", "max_tokens_total", "max_new_tokens", "limit"):
        value = vars(options)[name]
        if value is not None and value < 1:
            raise InputError(f"must be at least 1, got {value}", where="--" + name.replace("_", "-"))
    if options.retries is not None and options.retries < 0:
        raise InputError(f"must be at least 0, got {options.retries}", where="--retries")


def limits_of(options: argparse.Namespace, *, has_sound: bool) -> Limits:
    """The caps and rates that the options set.

    Args:
        options: Those of `evaluate`.
        has_sound: Whether clips are sent, whose tokens have a price of their own.

    Raises:
        InputError: There is a cap on money without prices, or only some of the prices.
    """
    prices = {"--price-text-in": options.price_text_in, "--price-out": options.price_out}
    if has_sound:
        prices["--price-audio-in"] = options.price_audio_in
    missing = [flag for flag, value in prices.items() if value is None]
    some = [v for v in (options.price_text_in, options.price_out, options.price_audio_in) if v is not None]
    if missing and (options.max_cost_usd is not None or some):
        raise InputError(
            f"{' and '.join(missing)} missing (US dollars per million tokens; 0 is a price):",
            where="--max-cost-usd" if options.max_cost_usd is not None else "prices",
            remedy="give them, or cap tokens by --max-tokens-total.",
        )
    known = None
    if not missing:
        known = Prices(options.price_text_in, options.price_out, options.price_audio_in or 0.0)
    return Limits(known, max_usd=options.max_cost_usd, max_tokens=options.max_tokens_total, rpm=options.rpm)


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Further settings of each request.

    Args:
        options: Those of `evaluate`.

    Raises:
        InputError: One is malformed, or is what the evaluation itself sets.
    """
    settings: dict[str, Any] = {}
    try:
        settings = option_values(options.setting or [])
    except InputError as error:
        raise InputError(str(error).removeprefix("--option: "), where="--setting") from error
    if wrong := next((name for name in RESERVED if name in settings), None):
        remedy = "--max-new-tokens sets it." if "tokens" in wrong else "leave it out."
        raise InputError(f"{wrong} is set by the evaluation:", where="--setting", remedy=remedy)
    return settings
