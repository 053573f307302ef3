"""The items that the data page shows: a fixed sample, each as a record of plain JSON with its sound inside."""

import base64
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from lalm_ambig.audio.clipping import flat_tops_of, is_clipped
from lalm_ambig.audio.inspection import MAX_S, UnusableAudio
from lalm_ambig.audio.reading import RATE_HZ, read_audio
from lalm_ambig.core.distributions import AMBIGUITY_LEVELS, ambiguity_level, majority, normalised_entropy
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.duplicates.contents import contents, text_content
from lalm_ambig.corpora.preparing.prepared import Prepared
from lalm_ambig.data.stratified import stratified_order

SOUND_TYPE = "audio/flac"
MOST_BYTES = 192 << 20
"""Largest page: browsers open it in seconds, and no table of items becomes one by accident."""
Copies = Mapping[str, Sequence[str]]
"""Id of an item → ids of the other items with its clip or text."""


@dataclass(frozen=True)
class Shown:
    """A sample of a corpus's items."""

    records: list[dict[str, Any]]
    """Plain JSON of each item; `audio` is a data address, or None."""
    total: int
    """Items of the corpus."""


def shown_items(prepared: Prepared, copies: Copies, *, count: int, seed: int) -> Shown:
    """Sample items so that splits, majority classes and levels of ambiguity have their shares.

    Args:
        prepared: The corpus.
        copies: As `copies_of` returns them.
        count: Number of items, the whole corpus at most.
        seed: Seed of the sample.

    Raises:
        InputError: The sounds of so many items make a page of more than MOST_BYTES.
    """
    view = prepared.items()
    votes = view.votes().double()
    label_dist = votes / votes.sum(-1, keepdim=True)
    levels, entropies = ambiguity_level(label_dist).tolist(), normalised_entropy(label_dist).tolist()
    classes = majority(votes).tolist()
    splits = prepared.table.column("split").to_pylist()
    places = stratified_order(
        view.ids(), list(zip(splits, classes, levels, strict=True)), seed=seed, count=count
    )
    records, size = [], 0
    for place in sorted(places):
        record = _record(view[place], copies)
        record["entropy"] = round(entropies[place], 4)
        record["level"] = AMBIGUITY_LEVELS[levels[place]]
        record["majority"] = classes[place]
        records.append(record)
        size += len(record["audio"] or "")
        if size > MOST_BYTES:
            raise InputError(
                f"{len(places):,} items make a page of more than {MOST_BYTES >> 20} MiB: after {len(records):,} it is "
                "full.",
                where="--items",
                remedy=f"Ask for fewer, such as --items {max(1, len(records) * 3 // 4)}.",
            )
    return Shown(records, len(view))


def _record(item: Item, copies: Copies) -> dict[str, Any]:
    audio, silent, clipped = None, None, None
    if item.audio is not None:
        try:
            audio = _as_address(item.audio)
            clipped = is_clipped(flat_tops_of(item.audio))
        except UnusableAudio as error:
            silent = str(error)
    return {
        "id": item.id,
        "split": item.split,
        "votes": list(item.votes),
        "text": item.text,
        "rationale": item.rationale,
        "speaker": item.speaker,
        "part": item.part,
        "file": None if item.audio is None else Path(item.audio).name,
        "audio": audio,
        "silent": silent,
        "clipped": clipped,
        "copies": list(copies.get(item.id, ())),
    }


def _as_address(path: str) -> str:
    """The clip as a model hears it, in a format that every browser plays."""
    memory = io.BytesIO()
    samples = read_audio(path, max_s=MAX_S).numpy()
    soundfile.write(memory, samples, RATE_HZ, format="FLAC", subtype="PCM_16")
    return f"data:{SOUND_TYPE};base64,{base64.b64encode(memory.getvalue()).decode()}"


def copies_of(items: Iterable[Item], *, sound: bool) -> dict[str, list[str]]:
    """Find the items that hold the same clip or, without sound, the same text.

    Args:
        items: All items of a corpus.
        sound: Compare clips, too; this opens every sound file.

    Returns:
        Id → ids of its copies, for the items that have one.
    """
    listed = [item for item in items if sound or not item.has_sound]
    known = contents(listed) if sound else [text_content(item.text or "") for item in listed]
    groups: dict[str, list[str]] = defaultdict(list)
    for item, content in zip(listed, known, strict=True):
        if content:  # else the sound file cannot be read
            groups[content].append(item.id)
    return {
        name: [other for other in group if other != name]
        for group in groups.values()
        if len(group) > 1
        for name in group
    }


def examples(prepared: Prepared) -> list[Item]:
    """The items of lowest, middle and highest normalised entropy; ties go to the first in the corpus's order."""
    view = prepared.items()
    votes = view.votes().double()
    order = normalised_entropy(votes / votes.sum(-1, keepdim=True)).argsort(stable=True).tolist()
    entropies = normalised_entropy(votes / votes.sum(-1, keepdim=True)).tolist()
    highest = entropies[order[-1]]
    last = next(place for place in order if entropies[place] == highest)
    return [view[place] for place in dict.fromkeys((order[0], order[len(order) // 2], last))]
