"""Gather what the data page shows of a corpus, and write it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.audio.clipping import FEWEST_TOPS, RUN, flat_tops_of, is_clipped
from lalm_ambig.audio.inspection import UnusableAudio
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.duplicates.within_corpus import Repetition
from lalm_ambig.corpora.preparing.prepared import Prepared
from lalm_ambig.files.atomic import write_text
from lalm_ambig.reporting.data_page.page import DataPage, rendered
from lalm_ambig.reporting.data_page.sample import Shown, copies_of, shown_items
from lalm_ambig.reporting.data_page.tables import (
    PlainTable,
    copy_table,
    floor_table,
    pair_table,
    split_table,
)

MOST_CLIPPED = 20
"""Clipped clips that are named; all are counted."""


@dataclass(frozen=True)
class DataPageSettings:
    """How much of a corpus the page shows."""

    items: int
    """Items to hear and read."""
    seed: int
    """Seed of their sample."""
    sound: bool
    """Whether every sound file is opened, to find copies and clipping; else those of the shown items alone."""
    metrics: Mapping[str, str]
    """Metrics of the noise floor → their heads."""


def write_data_page(
    path: Path, corpus: Corpus, prepared: Prepared, *, summary: Mapping[str, Any], settings: DataPageSettings
) -> None:
    """Write the data page.

    Args:
        path: The file.
        corpus: The corpus.
        prepared: The same, prepared.
        summary: Its numbers, as `describe` writes them to JSON.
        settings: How much is shown.

    Raises:
        InputError: The page would be too large, or cannot be written.
    """
    copies = copies_of(prepared.items(), sound=settings.sound)
    shown = shown_items(prepared, copies, count=settings.items, seed=settings.seed)
    splits = dict(zip(prepared.items().ids(), prepared.table.column("split").to_pylist(), strict=True))
    tables = [
        split_table(prepared),
        pair_table(prepared),
        floor_table(summary, settings.metrics),
        _repeated_table(summary),
        copy_table(copies, splits, sound=settings.sound),
        _clipping_table(prepared, shown, sound=settings.sound) if summary["with_sound"] else None,
    ]
    page = DataPage(
        title=f"Data of {corpus.full_name}",
        classes=tuple(prepared.categories.names),
        shown=shown,
        facts=list(_facts(corpus, summary)),
        tables=[table for table in tables if table is not None],
        notes=prepared.notes,
        licence=_licence(corpus, shown),
    )
    write_text(path, rendered(page))


def _licence(corpus: Corpus, shown: Shown) -> str:
    if not corpus.licensed:
        return ""
    clips = sum(record["audio"] is not None for record in shown.records)
    held = f"{clips:,} of its clips and " if clips else ""
    return (
        f"The licence of {corpus.name} forbids passing its items on. This file holds {held}"
        f"{len(shown.records):,} of its items: keep it on this machine."
    )


def _facts(corpus: Corpus, summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "from", corpus.address or str(corpus.root)
    yield "items", f"{summary['items']:,}"
    if summary["with_sound"]:
        yield "with sound", f"{summary['with_sound']:,}"
    yield "with text", f"{summary['with_text']:,}"
    if summary["audio_checked"] and summary["with_sound"]:
        yield "sound", f"{summary['audio_s'] / 3600:.2f} h"
        yield "left out", f"{summary['left_out']:,}"
    yield "annotators an item", "{min:g} to {max:g}, median {median:g}".format(**summary["annotators"])
    yield "mean normalised entropy", f"{summary['mean_entropy']:.3f}"
    split = "drawn by seed" if corpus.draws_splits else "as the corpus gives it"
    if corpus.draws_splits:
        split += f" {corpus.seed}" if corpus.fold is None else f" {corpus.seed}, fold {corpus.fold}"
    yield "split", split


def _repeated_table(summary: Mapping[str, Any]) -> PlainTable | None:
    lines = [(kind, Repetition(**values).line) for kind, values in summary["repeated"].items()]
    rows = [(kind, line) for kind, line in lines if line]
    return PlainTable("More than once", ("", "items"), rows) if rows else None


def _clipping_table(prepared: Prepared, shown: Shown, *, sound: bool) -> PlainTable:
    """The clipped clips: of the whole corpus where its sound is opened, else of the shown items."""
    if sound:
        tops = {item.id: _tops(item.audio) for item in prepared.items() if item.audio is not None}
        clipped = [(name, f"{count:,} flat tops") for name, count in tops.items() if is_clipped(count)]
        heard, where = len(tops), "clips"
    else:
        marked = [record for record in shown.records if record["clipped"]]
        clipped = [(str(record["id"]), "clipped") for record in marked]
        heard, where = sum(record["audio"] is not None for record in shown.records), "shown clips"
    caption = (
        f"{len(clipped):,} of {heard:,} {where}. A clip counts as clipped from {FEWEST_TOPS} flat tops on: runs of "
        f"{RUN} samples or more at its own peak. Lossy formats hide most of it."
    )
    if len(clipped) > MOST_CLIPPED:
        caption += f" The first {MOST_CLIPPED} are listed."
    return PlainTable("Clipping", ("clip", ""), clipped[:MOST_CLIPPED], caption)


def _tops(path: str) -> int:
    try:
        return flat_tops_of(path)
    except UnusableAudio:  # the check has left it out already, or it went since
        return 0
