"""The openai writer's run: several workers share one stream of items, and only their items are in memory."""

import argparse
import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from data_curation.author import ItemSource, OpenAIWriter, Standard
from data_curation.chat.connection import open_exchange
from data_curation.chat.gate import Gate, RunStopped
from data_curation.chat.limits import Unsent
from data_curation.clips import Clip
from data_curation.progress import RunDisplay, RunTally, conclude, print_summary, show_row
from data_curation.questions import job_key
from data_curation.records import CurationRow
from data_curation.selection import ItemSelection
from data_curation.store import Store
from lalm_ambig.core.errors import EXIT_INTERRUPTED, EXIT_USER_ERROR, InputError
from lalm_ambig.core.items import Item

REFRESH_S = 0.5


async def write_openai(selection: ItemSelection, args: argparse.Namespace) -> int:
    """Curate the selection; returns the exit code."""
    tally = RunTally()
    standard = standard_of(args)
    with Store(args.out, retry_failed=args.retry_failed) as store:
        display = RunDisplay(selection.count(), tally=tally)
        display.say(*store.notes)
        client, exchange = open_exchange(args, spent_usd=store.spent_usd, announce=display.say)
        display.cost_usd = lambda: exchange.limits.budget.spent_usd
        corpus = selection.corpus
        source = ItemSource(corpus.name, corpus.categories.names)
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
    """The user's requirements of a reasoning.

    Raises:
        InputError: A setting is out of its range.
    """
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


@dataclass(frozen=True)
class Run:
    """The parts of a run."""

    selection: ItemSelection
    writer: OpenAIWriter
    store: Store
    gate: Gate
    key_settings: Mapping[str, object]
    """Settings that are part of the content address."""


class Loop:
    """Workers that share one stream of items."""

    def __init__(
        self,
        run: Run,
        *,
        tally: RunTally,
        display: RunDisplay,
        on_row: Callable[[CurationRow], None] | None = None,
    ) -> None:
        self._run = run
        self._tally = tally
        self._display = display
        self._on_row = on_row

    async def work_through(self, *, concurrency: int) -> RunStopped | None:
        """Curate all items; returns the reason where the run was stopped before its end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        try:
            items = self._run.selection.items()
            refresh = asyncio.create_task(self._refresh())
            async with asyncio.TaskGroup() as workers:
                for _ in range(concurrency):
                    workers.create_task(self._worker(items))
            refresh.cancel()
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        self._display.update()
        return self._run.gate.stopped

    async def _worker(self, items: Iterator[Item]) -> None:
        try:
            for item in items:
                if self._run.gate.stopped is not None:
                    return
                await self._curate(item)
        except RunStopped as stop:
            self._run.gate.stop(stop)
        except InputError as error:  # the corpus has a malformed row, or the disk is full
            self._run.gate.stop(RunStopped(str(error), exit_code=EXIT_USER_ERROR))

    async def _curate(self, item: Item) -> None:
        try:
            prepared = await asyncio.to_thread(self._prepare, item)
        except InputError as error:
            self._tally.unusable += 1
            self._display.say(f"{item.id}: left out: {error}")
            return
        if prepared is None:
            self._tally.finished += 1
            return
        clip, key = prepared
        try:
            row = await self._run.writer.write(item, clip, key=key)
        except Unsent as error:
            self._tally.unsent += 1
            self._display.say(f"{item.id}: no reply, left for the next run: {error}")
            return
        await self._run.store.add_row(row)
        self._tally.add(row)
        if self._on_row is not None:
            self._on_row(row)

    def _prepare(self, item: Item) -> tuple[Clip | None, str] | None:
        """The item's clip and key; None where it is finished. A broken clip fails here and costs nothing."""
        run = self._run
        clip = run.selection.clip(item)
        key = job_key(
            item,
            run.selection.corpus.categories.names,
            audio_sha256=None if clip is None else clip.sha256,
            settings=run.key_settings,
        )
        if not run.store.wants((item.id, key)):
            return None
        if clip is not None:
            _ = clip.wav_base64
        return clip, key

    async def _refresh(self) -> None:
        while True:
            cooling_s = self._run.gate.cooling_s
            self._display.update(f"cooling down, {cooling_s:.0f} s left" if cooling_s >= 1 else "")
            await asyncio.sleep(REFRESH_S)

    def _interrupt(self) -> None:
        if self._run.gate.stopped is not None:
            raise KeyboardInterrupt
        self._display.say("interrupted: waiting for the calls in flight; press Ctrl-C again to drop them")
        self._run.gate.stop(RunStopped("interrupted", exit_code=EXIT_INTERRUPTED))
