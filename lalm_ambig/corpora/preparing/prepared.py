"""A corpus prepared for training: every sound file checked once, the items memory-mapped from disk.

The cache key is a hash of the corpus's settings and root, the content of its label files, and the code that reads them.
Name, size and time of every sound file in its folders must also be unchanged. A second start with the same key hashes
label files, lists folders, and opens no sound file.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import pyarrow
import pyarrow.compute as pc
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.class_names import UNKNOWN
from lalm_ambig.core.items import SPLITS, Item, Split, judged_id
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.checking import (
    CHECK_FILE,
    PROBLEMS_FILE,
    SHOWN_PER_KIND,
    build,
)
from lalm_ambig.corpora.preparing.fingerprint import corpus_fingerprint
from lalm_ambig.corpora.preparing.inspections import Inspections
from lalm_ambig.corpora.preparing.labels import ITEMS_FILE, load_labels, open_items, read_labels
from lalm_ambig.files.names import component
from lalm_ambig.files.places import cache_root

Texts = Literal["text", "rationale", "about_annotator"]
"""Columns of texts."""
LISTS = ("votes", "annotators", "annotations")
"""Columns of lists. Tables of older versions lack the annotators."""
ROWS_AT_ONCE = 4096
"""Rows that iteration reads together."""


class ItemView(Sequence[Item]):
    """Some rows of the table as items, built on access."""

    def __init__(self, table: pyarrow.Table, rows: np.ndarray) -> None:
        self._table = table
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "ItemView": ...
    def __getitem__(self, index: int | slice) -> "Item | ItemView":
        if isinstance(index, slice):
            return ItemView(self._table, self._rows[index])
        row: dict[str, Any] = self._table.slice(int(self._rows[index]), 1).to_pylist()[0]
        return Item(**{**row, **{name: tuple(row[name]) for name in LISTS if name in row}})

    def __iter__(self) -> Iterator[Item]:
        """Yield items in order; reads many rows at a time, about 8 times faster than single rows."""
        for start in range(0, len(self._rows), ROWS_AT_ONCE):
            rows = self._rows[start : start + ROWS_AT_ONCE]
            first = int(rows.min())
            # Of a part of the table: to find a row among all its chunks is thirty times slower.
            table = self._table.slice(first, int(rows.max()) + 1 - first).take(rows - first)
            names = table.column_names
            columns = [_values(table.column(name), is_list=name in LISTS) for name in names]
            yield from (Item(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True))

    def select(self, places: Sequence[int]) -> "ItemView":
        """The items at these places, in that order."""
        return ItemView(self._table, self._rows[np.asarray(places, dtype=np.int64)])

    def has_rationale(self) -> Bool[np.ndarray, " item"]:
        """True per item with a rationale of its own; builds no items."""
        lengths = pc.fill_null(pc.binary_length(self._column("rationale")), 0).to_numpy()
        has: np.ndarray = lengths[self._rows] > 0
        return has

    def longest(self, column: Texts) -> int:
        """Characters of the longest text in the column; 0 where there is none."""
        characters = pc.max(pc.utf8_length(self._column(column).take(self._rows))).as_py()
        return int(characters or 0)

    def sizes(self, column: Texts) -> tuple[np.ndarray, np.ndarray]:
        """Bytes (UTF-8) and characters of every item's text in the column, 0 where it has none; builds no items."""
        texts = self._column(column).take(self._rows)
        counts = (pc.fill_null(count(texts), 0).to_numpy() for count in (pc.binary_length, pc.utf8_length))
        sizes, lengths = (count.astype(np.int64) for count in counts)
        return sizes, lengths

    def ids(self) -> list[str]:
        """The id of every item; builds no items."""
        ids: list[str] = self._column("id").take(self._rows).to_pylist()
        return ids

    def judged_ids(self) -> list[str]:
        """Id of what was judged in every item (`Item.judged`); builds no items."""
        annotators = self._column("annotator").take(self._rows)
        if annotators.null_count == len(annotators):
            return self.ids()
        return list(map(judged_id, self.ids(), annotators.to_pylist()))

    def with_sound(self) -> np.ndarray:
        """Positions of the items that people heard; builds no items."""
        places: np.ndarray = np.flatnonzero(self._column("audio").is_valid().to_numpy()[self._rows])
        return places

    def strata(self) -> list[tuple[str | None, str | None, int]]:
        """Speaker, part and majority class of every item; builds no items."""
        columns = [self._column(name).take(self._rows).to_pylist() for name in ("speaker", "part")]
        majority = self.votes().numpy().argmax(-1).tolist()  # a tie goes to the first class
        return list(zip(*columns, majority, strict=True))

    def votes(self) -> Float[Tensor, "item category"]:
        """Votes of every item; builds no items."""
        return self.votes_as_read().float()

    def votes_as_read(self) -> Float[Tensor, "item category"]:
        """Votes of every item in double precision; builds no items."""
        flat = self._column("votes").combine_chunks().flatten().to_numpy()
        return torch.from_numpy(flat.reshape(len(self._table), -1)[self._rows])

    def durations_s(self) -> Float[Tensor, " item"]:
        """Seconds of sound per item, 0 for items without; all 0 where the check was left out."""
        return torch.from_numpy(self.seconds()).float()

    def seconds(self) -> Float[np.ndarray, " item"]:
        """`durations_s` in double precision."""
        seconds: np.ndarray = self._column("duration_s").to_numpy()[self._rows]
        return seconds

    def _column(self, name: str) -> Any:
        return self._table.column(name)


def _values(column: pyarrow.ChunkedArray, *, is_list: bool) -> list[Any]:
    """The values of a column, lists as tuples. These are cut from one list: to convert each by itself is slow."""
    if not is_list:
        values: list[Any] = column.to_pylist()
        return values
    lists = column.combine_chunks()
    flat, starts = lists.flatten().to_pylist(), (lists.offsets.to_numpy() - lists.offsets[0].as_py()).tolist()
    return [tuple(flat[start:end]) for start, end in pairwise(starts)]


@dataclass(frozen=True)
class Prepared:
    """A corpus that has been checked, with its items on disk."""

    categories: CategorySet
    table: pyarrow.Table
    """One row per item, memory-mapped; the columns are the fields of Item, audio as paths."""
    notes: tuple[str, ...]
    """Lines of the corpus and the check: at most SHOWN_PER_KIND of each kind, then a count."""
    left_out: int
    """Number of items that the check left out."""
    folder: Path
    """Folder of the table, the check's result and problems.txt."""
    from_cache: bool

    def items(self, split: Split | None = None) -> ItemView:
        """The items of a split, or all of them, in the corpus's order."""
        if split is None:
            return ItemView(self.table, np.arange(len(self.table)))
        return ItemView(self.table, np.flatnonzero(self._split_codes == SPLITS.index(split)))

    def counts(self) -> dict[Split, int]:
        """Items of each split."""
        return {split: len(self.items(split)) for split in SPLITS}

    @cached_property
    def _split_codes(self) -> np.ndarray:
        names = self.table.column("split").combine_chunks().dictionary_encode()
        codes = np.array([SPLITS.index(name) for name in names.dictionary.to_pylist()], dtype=np.int8)
        split_codes: np.ndarray = codes[names.indices.to_numpy()]
        return split_codes


def prepare(
    corpus: Corpus, *, cache_dir: Path | None = None, check_audio: bool = True, quiet: bool = False
) -> Prepared:
    """Read a corpus and check its sound files, or load both from the cache where nothing has changed.

    Args:
        corpus: The corpus.
        cache_dir: Folder for the result; by default under `~/.cache/lalm_ambig` (or XDG_CACHE_HOME).
        check_audio: Check every sound file. If False, none is opened and durations are 0.
        quiet: Neither progress bar nor notes on standard error.

    Returns:
        The prepared corpus.

    Raises:
        InputError: The corpus refuses something, two items have one id, or no item is left.
    """
    root = (cache_root() if cache_dir is None else cache_dir) / "corpora"
    identity = f"{component(corpus.name)}-{corpus_fingerprint(corpus, check_audio=check_audio)}"
    folder = _finished(root, identity)
    from_cache = folder is not None
    if folder is None:
        labels = read_labels(corpus, root, identity)
        folder = root / f"{identity}-{labels.listing}"
        sounds = Inspections(root, name=component(corpus.name), root=corpus.root) if check_audio else None
        build(corpus, labels, folder, sounds=sounds, quiet=quiet)
    prepared = _open(folder, from_cache=from_cache)
    if not quiet:
        for note in prepared.notes:
            print(f"{corpus.name}: {note}", file=sys.stderr)
    return prepared


def load_prepared(corpus: Corpus) -> Prepared | None:
    """Load a corpus that an earlier check left in the cache; None where there is none. Checks and writes nothing."""
    if not corpus.root.exists():
        return None
    folder = _finished(
        cache_root() / "corpora", f"{component(corpus.name)}-{corpus_fingerprint(corpus, check_audio=True)}"
    )
    return None if folder is None else _open(folder, from_cache=True)


def _finished(root: Path, identity: str) -> Path | None:
    """The folder of an earlier check with the same identity; None where there is none."""
    labels = load_labels(root, identity)
    folder = None if labels is None else root / f"{identity}-{labels.listing}"
    return folder if folder is not None and folder.is_dir() else None


def _open(folder: Path, *, from_cache: bool) -> Prepared:
    check = json.loads((folder / CHECK_FILE).read_text(encoding="utf-8"))
    notes = list(check["notes"])
    for kind, problem in check["problems"].items():
        notes.extend(problem["lines"])
        if problem["count"] > SHOWN_PER_KIND:
            more = problem["count"] - SHOWN_PER_KIND
            notes.append(f"{kind}: {more:,} more of {problem['count']:,}, all in {folder / PROBLEMS_FILE}")
    return Prepared(
        categories=CategorySet(
            tuple(check["names"]),
            tuple(check["verbalisers"]),
            tuple(check.get("prompt_names", ())),
            check.get("domain", UNKNOWN),
            ordered=check.get("ordered", False),
        ),
        table=open_items(folder / ITEMS_FILE),
        notes=tuple(notes),
        left_out=check["left_out"],
        folder=folder,
        from_cache=from_cache,
    )
