"""The acoustic writer's run. It has the same file, rows and rules as the other writer, and needs no server."""

import argparse
import time

from data_curation import filters
from data_curation.acoustic.writer import VERSION, AcousticWriter
from data_curation.progress import RunDisplay, RunTally, conclude, print_summary, show_row
from data_curation.questions import job_key
from data_curation.records import CurationRow, now
from data_curation.selection import ItemSelection
from data_curation.store import Store
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item


def write_acoustic(selection: ItemSelection, args: argparse.Namespace) -> int:
    """Write the selection from measurements; returns the exit code."""
    corpus, tally = selection.corpus, RunTally()
    writer = AcousticWriter(list(corpus.read()), corpus.categories, seed=args.seed)
    started_s = time.monotonic()
    with (
        Store(args.out, retry_failed=args.retry_failed) as store,
        RunDisplay(selection.count(), tally=tally) as display,
    ):
        display.say(*store.notes)
        for item in selection.items():
            try:
                row = _row(item, writer, selection=selection, store=store)
            except InputError as error:
                tally.unusable += 1
                display.say(f"{item.id}: left out: {error}")
                continue
            tally.finished += row is None
            if row is not None:
                store.add_row_now(row)
                tally.add(row)
            if row is not None and args.preview:
                show_row(row)
            display.update()
    print_summary(tally, elapsed_s=time.monotonic() - started_s, spent_usd=None)
    return conclude(None, tally)


def _row(item: Item, writer: AcousticWriter, *, selection: ItemSelection, store: Store) -> CurationRow | None:
    """The item's row; None where it is finished already.

    Raises:
        InputError: The clip cannot be measured.
    """
    corpus, clip = selection.corpus, selection.clip(item)
    names = corpus.categories.names
    settings = {"writer": "acoustic", "version": VERSION, "seed": writer.seed}
    key = job_key(item, names, audio_sha256=None if clip is None else clip.sha256, settings=settings)
    if not store.wants((item.id, key)):
        return None
    started = now()
    reasoning, measurements = writer.write(item)
    reasons = tuple(filters.check(reasoning, item.votes, names))
    return CurationRow(
        key=key,
        corpus=corpus.name,
        id=item.id,
        writer="acoustic",
        writer_version=VERSION,
        outcome="rejected" if reasons else "accepted",
        reasons=reasons,
        categories=names,
        votes=item.votes,
        text=item.text,
        audio=None if clip is None else clip.name,
        reasoning=reasoning,
        rationale=None if reasons else reasoning.as_text(),
        measurements=measurements,
        started=started,
        finished=now(),
    )
