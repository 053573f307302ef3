"""The record of a run's training items: it goes with the weights, and says which items can no longer be a test.

`trained_items.jsonl` is in a run's folder and beside its weights. Its first line names the runs: the run itself, then
those that it goes on from. Each further line is an item. Speakers and texts are digests, sounds are sketches: the file
has no item's content, and no folder of a machine.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS, Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.duplicates.contents import TEXT, contents, first_alike, same_content, trained_among
from lalm_ambig.corpora.preparing.prepared import ItemView
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.files.json_lines import json_object, write_rows

FILE = "trained_items.jsonl"
FORMAT = 1
SAMPLE = 64
"""Items that are compared to see whether two corpora of one name are the same one."""
SAME_SHARE = 0.9
"""Share of these items that must have the same content in both."""
DIGITS = 12
CHOOSE = ("seed", "fold", "part", "skip_bad_rows", "allow_outside")
"""Settings of a corpus that say which items there are; the others say what an item is."""


@dataclass(frozen=True, slots=True)
class TrainedItem:
    """An item that was trained on (`train`) or by which the checkpoint was chosen (`validation`)."""

    id: str
    split: str
    speaker: str | None
    """A digest of the speaker's name."""
    content: str
    """The content in the form of `corpora.duplicates.contents`; empty where it is not known."""


@dataclass(frozen=True)
class TrainedRun:
    """The items that one run was trained on or chosen by."""

    name: str
    settings: Mapping[str, Any]
    """The corpus's `settings`: its name, part, seed and fold among them."""
    items: tuple[TrainedItem, ...]

    @property
    def corpus(self) -> str:
        return str(self.settings.get("corpus"))

    @property
    def split_in_words(self) -> str:
        """Part, seed and fold, as far as they are set."""
        values = ((name, self.settings.get(name)) for name in ("part", "seed", "fold"))
        return ", ".join(f"{name} {value}" for name, value in values if value is not None)

    @property
    def trained(self) -> tuple[TrainedItem, ...]:
        """The items that were trained on, without those that only chose the checkpoint."""
        return tuple(item for item in self.items if item.split == "train")

    @property
    def digest(self) -> str:
        """A fingerprint of the items that were trained on, whatever their order.

        It covers ids, speakers, texts, and the settings of the corpus that say what an item is. Sounds are left out:
        their sketches can differ between machines.
        """
        settings = {key: value for key, value in self.settings.items() if key not in CHOOSE}
        rows = {
            (item.id, item.speaker, item.content if item.content.startswith(TEXT) else "")
            for item in self.trained
        }
        lines = [settings, *sorted(rows, key=str)]
        text = "\n".join(json.dumps(line, sort_keys=True, default=str) for line in lines)
        return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]

    @property
    def heading(self) -> dict[str, Any]:
        """Its entry in the file's first line."""
        return {"name": self.name, "settings": dict(self.settings)}


@dataclass(frozen=True)
class TrainedItems:
    """The training items of a policy: those of its run first, then those of the runs that it goes on from."""

    runs: tuple[TrainedRun, ...] = ()
    unknown: tuple[str, ...] = ()
    """Parts of its past that nothing is known of, one line each."""

    @property
    def is_of_one_split(self) -> bool:
        """Whether all runs have one corpus, split in one way, whose test is then unseen."""
        keys = ("corpus", "part", "seed", "fold")
        return len({tuple(run.settings.get(key) for key in keys) for run in self.runs}) == 1

    def behind(self, run: TrainedRun) -> "TrainedItems":
        """The record of a run that goes on from here."""
        return TrainedItems((run, *self.runs), self.unknown)

    def and_also(self, other: "TrainedItems") -> "TrainedItems":
        """The union of two records."""
        unknown = tuple(dict.fromkeys((*self.unknown, *other.unknown)))
        return TrainedItems((*self.runs, *other.runs), unknown)


def trained_item(item: Item, content: str) -> TrainedItem:
    """An item as the record holds it; a pair of item and annotator as its item."""
    return TrainedItem(item.judged, item.split, speaker_digest(item.speaker), content)


@lru_cache(maxsize=4096)
def speaker_digest(speaker: str | None) -> str | None:
    """A digest of a speaker's name, which can be compared but not read; None without a speaker."""
    if speaker is None:
        return None
    return hashlib.sha256(f"speaker\0{speaker}".encode()).hexdigest()[:DIGITS]


def write_trained_items(folder: Path, record: TrainedItems) -> Path:
    """Write the file into a folder, completely or not at all; returns its path."""
    head = {
        "trained_items": FORMAT,
        "runs": [run.heading for run in record.runs],
        "unknown": list(record.unknown),
    }
    rows = (
        {"run": n, "id": item.id, "split": item.split, "speaker": item.speaker, "content": item.content}
        for n, run in enumerate(record.runs)
        for item in run.items
    )
    return write_rows(folder / FILE, chain((head,), rows))


def read_trained_items(folder: Path) -> TrainedItems | None:
    """The record in a folder; None where there is none.

    Raises:
        InputError: The file is damaged; the message names file and line.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    rows = _rows(path)
    head: Any
    at, head = next(rows, (1, None))
    try:
        if head["trained_items"] != FORMAT:
            raise InputError(f"a record of format {head['trained_items']!r}, not {FORMAT}", where=f"{path}:1")
        runs = [TrainedRun(str(run["name"]), dict(run["settings"]), ()) for run in head["runs"]]
        unknown = tuple(map(str, head["unknown"]))
        items: list[list[TrainedItem]] = [[] for _ in runs]
        for at, row in rows:  # noqa: B007 (for the message)
            items[int(row["run"])].append(_item(row))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, at) from error
    filled = (replace(run, items=tuple(its_items)) for run, its_items in zip(runs, items, strict=True))
    return TrainedItems(tuple(filled), unknown)


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    number = 0
    with path.open("rb") as file:
        try:
            for number, line in enumerate(file, start=1):
                yield number, json_object(line)
        except InputError as error:
            raise _damaged(path, max(1, number)) from error


def _item(row: Mapping[str, Any]) -> TrainedItem:
    item = TrainedItem(row["id"], row["split"], row["speaker"], row["content"])
    texts = (item.id, item.content, item.speaker or "")
    if item.split not in SPLITS or not all(isinstance(text, str) for text in texts):
        raise TypeError("not an item")
    return item


def _damaged(path: Path, number: int) -> InputError:
    remedy = "Take it from the run's folder or from its adapter/, whichever is whole."
    return InputError("not a record of trained items.", where=f"{path}:{number}", remedy=remedy)


@dataclass(frozen=True)
class EvaluatedItems:
    """A test set, and the corpus that it is of."""

    corpus: Corpus
    items: Sequence[Item]
    every: Sequence[Item]
    """All items of the corpus, of every split."""
    speakers_apart: bool
    """Whether its split is drawn so that no speaker is in two of its parts."""

    @property
    def judged(self) -> Sequence[str]:
        """Ids of what was judged in each item of the corpus; of items on disk, none is built for it."""
        every = self.every
        return every.judged_ids() if isinstance(every, ItemView) else [item.judged for item in every]


def overlap(record: TrainedItems, tested: EvaluatedItems) -> Overlap:
    """The part of a test set that is in a record: by id within one corpus; by content between two.

    It is by content, too, where two files of one corpus have no id in common.
    """
    trained, spoken = set[int](), set[int]()
    runs, unchecked = dict[str, None](), dict.fromkeys(record.unknown)
    for run in record.runs:
        is_same = _same_corpus(run, tested)
        shares_ids = is_same and _shares_ids(run, tested)
        positions = _by_id(run, tested) if shares_ids else _by_content(run, tested)
        by_speaker = _by_speaker(run, tested) if is_same and tested.speakers_apart else set[int]()
        if positions or by_speaker:
            runs[run.name] = None
        if not is_same and (silent := sum(not item.content for item in run.items)):
            lost = f"the sound of {silent} of the {len(run.items)} items of run {run.name} was not at hand"
            unchecked[f"{lost}: whether they are among these items is not known"] = None
        trained |= positions
        spoken |= by_speaker
    of = len(tested.items)
    return Overlap(len(trained), len(spoken - trained), of, tuple(runs), unchecked=tuple(unchecked))


def _shares_ids(run: TrainedRun, tested: EvaluatedItems) -> bool:
    """Whether any item of the corpus has an id of the run's: another file of the corpus may give other ids."""
    ids = {item.id for item in run.items}
    return any(judged in ids for judged in tested.judged)


def _by_id(run: TrainedRun, tested: EvaluatedItems) -> set[int]:
    ids = {item.id for item in run.items}
    return {at for at, item in enumerate(tested.items) if item.judged in ids}


def _by_speaker(run: TrainedRun, tested: EvaluatedItems) -> set[int]:
    speakers = {item.speaker for item in run.items if item.split == "train" and item.speaker is not None}
    return {at for at, item in enumerate(tested.items) if speaker_digest(item.speaker) in speakers}


def _by_content(run: TrainedRun, tested: EvaluatedItems) -> set[int]:
    contained = trained_among(tested.items, contents(tested.items), [item.content for item in run.items])
    return {at for at, is_trained in enumerate(contained) if is_trained}


def same_item(record: TrainedItems, item: Item) -> tuple[TrainedRun, TrainedItem] | None:
    """The first item of a record with the content of this one, however short its text is; None without."""
    [content] = contents([item])
    for run in record.runs:
        if (position := first_alike(content, [trained.content for trained in run.items])) is not None:
            return run, run.items[position]
    return None


def _same_corpus(run: TrainedRun, tested: EvaluatedItems) -> bool:
    """Whether ids mean the same items: by the corpus's name, or where that does not say it, by a sample's contents."""
    corpus = tested.corpus
    if run.corpus != corpus.name:
        return False
    if corpus.ids_are_global:
        return True
    step = max(1, len(run.items) // SAMPLE)
    sample = run.items[::step]
    sought = {item.id for item in sample}
    places = {judged: at for at, judged in enumerate(tested.judged) if judged in sought}
    by_id = {judged: tested.every[at] for judged, at in places.items()}
    shared = [(item, by_id[item.id]) for item in sample if item.id in by_id]
    pairs = zip(shared, contents([item for _, item in shared]), strict=True)
    alike = sum(same_content(item.content, content) for (item, _), content in pairs)
    return alike >= SAME_SHARE * len(sample) if sample else False
