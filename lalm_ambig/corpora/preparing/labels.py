"""The first stage of a check: every label read once, and the items written as a table. No sound file is opened.

The table has a folder of its own. An index with the corpus's fingerprint names it, once it is complete. A check of the
sounds that was killed goes on from there.
"""

import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.fingerprint import listing_fingerprint
from lalm_ambig.files.atomic import new_folder, write_text

ITEMS_FILE = "items.arrow"
ROWS_AT_ONCE = 16_384
"""Rows of a batch of the table: few batches make a single row cheap to find."""
TEXT = pyarrow.large_string()
"""Type of texts, of which a table may hold more than 2 GB."""
SCHEMA = pyarrow.schema(
    {
        "id": pyarrow.string(),
        "votes": pyarrow.list_(pyarrow.float64()),
        "audio": pyarrow.string(),
        "text": TEXT,
        "rationale": TEXT,
        "speaker": pyarrow.string(),
        "split": pyarrow.string(),
        "duration_s": pyarrow.float64(),
        "part": pyarrow.string(),
        "annotators": pyarrow.list_(pyarrow.string()),
        "annotations": pyarrow.list_(pyarrow.int64()),
        "annotator": pyarrow.string(),
        "about_annotator": TEXT,
    }
)
"""The columns on disk: the fields of Item."""


@dataclass(frozen=True)
class Labels:
    """What a reading of the labels gave."""

    file: str
    """The table of items, relative to the cache."""
    items: int
    folders: list[str]
    """Folders that hold sound files of the corpus, sorted."""
    suffixes: list[str]
    """Endings of those files' names, sorted."""
    listing: str
    """Hash of these files' names, sizes and times: a corpus may give the items whose sound is there."""
    about: dict[str, Any]
    """Classes and notes of the corpus."""


def read_labels(corpus: Corpus, root: Path, identity: str) -> Labels:
    """Read every label, unless an earlier reading is still valid.

    Args:
        corpus: The corpus.
        root: The cache.
        identity: Name and fingerprint of the corpus.

    Raises:
        InputError: Two items have one id, there is no item, or a label file was written to meanwhile.
    """
    if (labels := load_labels(root, identity)) is not None:
        return labels
    folder = root / f"{identity}-labels-{secrets.token_hex(4)}"
    with new_folder(folder) as unfinished:
        before = _stamps(corpus)
        survey = _Survey(corpus)
        write_items(unfinished / ITEMS_FILE, survey.watched(corpus.read()))
        labels = survey.labels(f"{folder.name}/{ITEMS_FILE}")
        if _stamps(corpus) != before:
            raise InputError(
                "its label files changed while they were read.",
                where=f"corpus {corpus.name}",
                remedy="Start again once they are complete.",
            )
    write_text(root / f"{identity}.json", json.dumps(asdict(labels)))
    return labels


def load_labels(root: Path, identity: str) -> Labels | None:
    """An earlier reading; None where there is none, or where sound files have come, gone or changed since.

    Args:
        root: The cache.
        identity: Name and fingerprint of the corpus.
    """
    index = root / f"{identity}.json"
    if not index.is_file():
        return None
    labels = Labels(**json.loads(index.read_text(encoding="utf-8")))
    is_there = (root / labels.file).is_file()
    same = listing_fingerprint(labels.folders, labels.suffixes) == labels.listing
    return labels if is_there and same else None


def write_items(path: Path, items: Iterable[Item]) -> None:
    """Write a table of items, some at a time.

    Args:
        path: A file in a folder that has not got its name yet.
        items: The items.
    """
    iterator = iter(items)
    with pyarrow.ipc.new_stream(str(path), SCHEMA) as writer:
        while group := list(islice(iterator, ROWS_AT_ONCE)):
            columns = [
                pyarrow.array([getattr(item, field.name) for item in group], field.type) for field in SCHEMA
            ]
            writer.write_batch(pyarrow.record_batch(columns, schema=SCHEMA))


def open_items(path: Path) -> pyarrow.Table:
    """A table of items, memory-mapped."""
    with pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))) as reader:
        return reader.read_all()


def _stamps(corpus: Corpus) -> list[tuple[int, int]]:
    statuses = [path.stat() for path in corpus.label_files()]
    return [(status.st_size, status.st_mtime_ns) for status in statuses]


class _Survey:
    """Counts and folders of the items that pass by."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.ids: set[str] = set()
        self.places: set[tuple[str, str]] = set()

    def watched(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items.

        Raises:
            InputError: Two items have one id.
        """
        ids, name = self.ids, self.corpus.name
        for count, item in enumerate(items, start=1):
            ids.add(item.id)
            if len(ids) < count:
                raise InputError(f"two items have the id {item.id!r}", where=f"corpus {name}")
            if item.audio is not None:
                path = Path(item.audio)
                self.places.add((str(path.parent), path.suffix))
            yield item

    def labels(self, file: str) -> Labels:
        """What the items were.

        Args:
            file: Their table.

        Raises:
            InputError: There was none.
        """
        corpus = self.corpus
        if not self.ids:
            raise InputError(f"no item has a vote in {corpus.root}", where=f"corpus {corpus.name}")
        about = {
            "names": corpus.categories.names,
            "verbalisers": corpus.categories.verbalisers,
            "prompt_names": corpus.categories.prompt_names,
            "domain": corpus.categories.domain,
            "ordered": corpus.categories.ordered,
            "notes": list(corpus.notes()),
        }
        folders = sorted({folder for folder, _ in self.places})
        suffixes = sorted({suffix for _, suffix in self.places})
        listing = listing_fingerprint(folders, suffixes)
        return Labels(file, len(self.ids), folders, suffixes, listing, about)
