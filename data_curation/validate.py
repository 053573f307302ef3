"""`validate`: judges every row of a file again, from its stored replies and without payment.

Rows of the openai writer are parsed again and checked against the rules, and the validator's distribution against the
threshold. With `--ask-model` the validator is asked again, which costs. Rows of the acoustic writer have no validator,
so only the rules are checked.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console
from rich.table import Table

from data_curation import filters
from data_curation.author import Standard, sum_usage, verdict_fields
from data_curation.chat.connection import open_exchange
from data_curation.chat.exchange import Exchange
from data_curation.chat.gate import RunStopped
from data_curation.chat.limits import Unsent
from data_curation.judge import AttemptVerdict, judge
from data_curation.questions import validator_question
from data_curation.records import CurationRow, now
from data_curation.rows import read_rows
from data_curation.store import Store
from lalm_ambig.core.errors import EXIT_CHECK_FAILED, EXIT_OK, InputError


def validate(args: argparse.Namespace) -> int:
    """Judge the rows of a file anew, and print those whose outcome has changed.

    Returns:
        1 if a row recorded as accepted is no longer acceptable, or the run stopped early; else 0.

    Raises:
        InputError: There is no such file.
    """
    if not args.file.is_file():
        raise InputError(f"no such file: {args.file}", remedy="Write one with python -m data_curation write.")
    return asyncio.run(_validate(args))


async def _validate(args: argparse.Namespace) -> int:
    counts: Counter[tuple[str, str, str]] = Counter()
    spent_usd = 0.0
    async with _line(args) as (exchange, store):
        for row in read_rows(args.file):
            try:
                judged = await _judged(row, args.js_threshold, exchange)
            except (Unsent, RunStopped) as error:
                print(f"stopped at {row.id}: {error}", file=sys.stderr)
                return EXIT_CHECK_FAILED
            counts[row.writer, row.outcome, judged.outcome] += 1
            spent_usd += judged.paid_usd if judged is not row else 0.0
            if judged.outcome != row.outcome:
                print(f"{row.id}: {row.outcome} → {judged.outcome} {'; '.join(judged.reasons)}")
            if store is not None and judged is not row:
                store.add_row_now(judged)
    _print(counts, args, spent_usd)
    fallen = sum(n for (_, before, after), n in counts.items() if before == "accepted" != after)
    return EXIT_CHECK_FAILED if fallen else EXIT_OK


@asynccontextmanager
async def _line(args: argparse.Namespace) -> AsyncIterator[tuple[Exchange | None, Store | None]]:
    """The exchange and the file to append to, where the options ask for them."""
    if not (args.update or args.ask_model):
        yield None, None
        return
    with Store(args.file) as store:
        if not args.ask_model:
            yield None, store
            return
        client, exchange = open_exchange(
            args, spent_usd=store.spent_usd, announce=lambda line: print(line, file=sys.stderr)
        )
        try:
            yield exchange, store
        finally:
            await client.close()


async def _judged(row: CurationRow, js_threshold: float, exchange: Exchange | None) -> CurationRow:
    """The row with its present verdict; the same object where nothing has changed."""
    if row.writer == "acoustic":
        assert row.reasoning is not None
        reasons = tuple(filters.check(row.reasoning, row.votes, row.categories))
        verdict = AttemptVerdict("rejected" if reasons else "accepted", reasons, row.reasoning)
    else:
        verdict = judge(row.calls, row.votes, categories=row.categories, js_threshold=js_threshold)
        if (
            exchange is not None
            and verdict.reasoning is not None
            and (verdict.outcome is None or verdict.asked_validator)
        ):
            row = await _ask_again(row, verdict, exchange)
            verdict = judge(row.calls, row.votes, categories=row.categories, js_threshold=js_threshold)
            return row.model_copy(update=verdict_fields(verdict))
    if verdict.outcome is None:  # an older threshold or rule stopped it before the validator was asked
        return row
    same = (verdict.outcome, verdict.reasons) == (row.outcome, row.reasons)
    return (
        row
        if same
        else row.model_copy(update={**verdict_fields(verdict), "paid_usd": 0.0, "finished": now()})
    )


async def _ask_again(row: CurationRow, verdict: AttemptVerdict, exchange: Exchange) -> CurationRow:
    assert verdict.reasoning is not None
    attempt, turn = row.calls[-1].attempt, len(row.calls)
    tokens = Standard().validator_tokens
    question = validator_question(
        verdict.reasoning, row.categories, attempt=attempt, turn=turn, max_tokens=tokens
    )
    call = await exchange.call(question)
    calls = (*row.calls, call)
    update = {"calls": calls, "usage": sum_usage(calls), "paid_usd": call.usage.cost_usd, "finished": now()}
    return row.model_copy(update=update | {"validator_model": exchange.models["validator"].name})


def _print(counts: Counter[tuple[str, str, str]], args: argparse.Namespace, spent_usd: float) -> None:
    table = Table("writer", "recorded", "today", "rows", title=f"Validation of {args.file.name}")
    for (writer, before, after), number in sorted(counts.items()):
        table.add_row(writer, before, after, str(number))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    if any(writer == "acoustic" for writer, _, _ in counts):
        console.print("acoustic rows: the rules only; no model validates them", markup=False)
    if any(writer == "openai" for writer, _, _ in counts):
        how = (
            f"the validator was asked again, ${spent_usd:.4f}"
            if args.ask_model
            else "from the kept replies, nothing paid"
        )
        console.print(f"openai rows: rules and validation, {how}", markup=False)
