"""The openai writer's run, from opening the file to the table at the end."""

import argparse
import time

from data_curation.author import OpenAIWriter, Source, Standard
from data_curation.conclusion import conclude
from data_curation.jobs import Selection
from data_curation.progress import RunDisplay, Tally, print_summary, show_row
from data_curation.run import Loop, Run
from data_curation.server import open_line
from data_curation.store import Store
from lalm_ambig.core.errors import InputError


async def write_openai(selection: Selection, args: argparse.Namespace) -> int:
    """Curate the selection; the exit code."""
    tally = Tally()
    standard = standard_of(args)
    with Store(args.out, retry_failed=args.retry_failed) as store:
        display = RunDisplay(selection.count(), tally=tally)
        display.say(*store.notes)
        client, exchange = open_line(args, spent_usd=store.spent_usd, announce=display.say)
        display.cost_usd = lambda: exchange.limits.budget.spent_usd
        corpus = selection.corpus
        source = Source(corpus.name, corpus.categories.names)
        writer = OpenAIWriter(exchange, store, source=source, standard=standard)
        run = Run(selection, writer, store, exchange.limits.gate, key_settings(args, standard))
        started_s = time.monotonic()
        try:
            with display:
                loop = Loop(run, tally=tally, display=display, on_row=show_row if args.preview else None)
                stopped = await loop.work_through(concurrency=args.concurrency)
        finally:
            await client.close()
    spent_usd = exchange.limits.budget.spent_usd
    print_summary(tally, elapsed_s=time.monotonic() - started_s, spent_usd=spent_usd)
    return conclude(stopped, tally)


def standard_of(args: argparse.Namespace) -> Standard:
    """What the user asks of a reasoning; InputError for settings that mean nothing."""
    if args.attempts < 1:
        raise InputError(f"must be at least 1, got {args.attempts}", where="--attempts")
    if not 0 < args.js_threshold <= 1:
        raise InputError(f"must be in (0, 1], got {args.js_threshold:g}", where="--js-threshold")
    return Standard(attempts=args.attempts, js_threshold=args.js_threshold)


def key_settings(args: argparse.Namespace, standard: Standard) -> dict[str, object]:
    """The settings that are part of an item's content address."""
    return {
        "writer": "openai",
        "model": args.model,
        "validator_model": args.validator_model or args.model,
        "structured": args.structured,
        "temperature": args.temperature,
        "writer_tokens": standard.writer_tokens,
        "validator_tokens": standard.validator_tokens,
    }
