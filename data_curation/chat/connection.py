"""Builds an exchange from the command line's settings: client, limits, models and dialects."""

import argparse
import os
from collections.abc import Callable

from data_curation.chat.budget import Budget, prices_of
from data_curation.chat.client import DEFAULT_URL, ChatClient, check_url
from data_curation.chat.dialect import Dialect
from data_curation.chat.exchange import Exchange
from data_curation.chat.gate import Gate
from data_curation.chat.limits import Breaker, Limits, PricedModel
from data_curation.records import Role
from lalm_ambig.core.errors import InputError


def models_of(args: argparse.Namespace) -> dict[Role, PricedModel]:
    """The two models with their prices. Prices that the user gave are those of both."""
    overrides = {"text_in": args.price_text_in, "audio_in": args.price_audio_in, "out": args.price_out}
    validator = args.validator_model or args.model
    return {
        "writer": PricedModel(args.model, prices_of(args.model, overrides)),
        "validator": PricedModel(validator, prices_of(validator, overrides)),
    }


def unknown_price_note(models: dict[Role, PricedModel], *, capped: bool) -> str | None:
    """A line about models without a price; None where all have one.

    Raises:
        InputError: There is such a model, and a cap on the cost.
    """
    unknown = sorted({model.name for model in models.values() if model.prices is None})
    if not unknown:
        return None
    what = f"no price is known for {', '.join(unknown)}"
    if capped:
        options = "--price-text-in, --price-audio-in and --price-out"
        raise InputError(f"{what}: --max-cost-usd needs {options} (0 is a price)")
    return f"note: {what}; its cost counts as 0"


def open_exchange(
    args: argparse.Namespace, *, spent_usd: float, announce: Callable[[str], None]
) -> tuple[ChatClient, Exchange]:
    """Open an exchange with the server.

    Args:
        args: Options of the command line.
        spent_usd: Amount that was spent on the file before.
        announce: Prints a line for the user.

    Returns:
        The client, which the caller closes, and the exchange that uses it.

    Raises:
        InputError: A setting is out of its range, the URL is unsafe, or the key is missing.
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
        address_of(args),
        api_key=os.environ.get("OPENAI_API_KEY"),
        timeout_s=args.timeout,
        concurrency=args.concurrency,
    )
    dialects = _dialects(args)
    return client, Exchange(client, limits=limits, models=models, dialects=dialects, announce=announce)


def address_of(args: argparse.Namespace) -> str:
    """The server's address: of the option, of the environment, or OpenAI's."""
    return args.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL


def check_upload(base_url: str, *, corpus: str, licensed: bool, confirmed: bool) -> None:
    """Refuse to send items to another machine, or anywhere if the licence forbids it, unless that was confirmed.

    Args:
        base_url: Address of the server.
        corpus: Name of the corpus.
        licensed: Whether its licence forbids passing items on.
        confirmed: Whether the user has confirmed it.

    Raises:
        InputError: It was not confirmed, or the address is none.
    """
    is_local = check_url(base_url)
    if confirmed or (is_local and not licensed):
        return
    why = f"the licence of {corpus} forbids passing items on" if licensed else "that is another machine"
    raise InputError(
        f"clips and texts of {corpus} would be sent to {base_url}, and {why}:",
        where="--base-url",
        remedy="if you may send them there, add --confirm-upload.",
    )


def _dialects(args: argparse.Namespace) -> dict[Role, Dialect]:
    auto = args.structured == "auto"
    start = Dialect(
        "tool" if auto else args.structured,
        may_fall_back=auto,
        temperature=args.temperature,
        limit_needed=args.max_cost_usd is not None,
    )
    return {"writer": start, "validator": start}
