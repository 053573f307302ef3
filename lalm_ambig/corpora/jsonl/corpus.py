"""JSON Lines: the format for a corpus of the user's own, one row per item.

    {"categories": ["anger", "neutral"], "verbalisers": [" anger", " neutral"]}      (first line, optional)
    {"id": "a", "audio": "clips/a.wav", "text": "…", "votes": {"anger": 3}, "speaker": "s1", "split": "train"}

`id`, `votes` and one of `audio` and `text` are needed. `rationale`, `speaker` and `split` are optional; `split` is
given for all rows or for none. `annotators` says who chose what, in place of `votes` or beside it (see `ratings`).
A class that `votes` does not name has no votes. Null, NaN and blank texts count as missing. `id` and `speaker` may be
whole numbers. Classes are compared without case and in one Unicode form (`categories.normal_form`). They are shown as
declared, or as they come first.

Without `split` the items are split 70/10/20 (or into five folds), by speaker where rows have one, else by item. With
`skip_bad_rows` malformed rows are left out. Three faults are errors even then: a first line that is not JSON, a split
for some rows only, and ids that are numbers in some rows and texts of digits in others.

A table that somebody else made, as JSON Lines, CSV or parquet, is read with the option `columns` (see `columns`); CSV
and parquet without it are expected to have the keys above as columns. The root may be a folder with a file per split.

Items with sound are asked about a recording, items without about a text, unless a prompt is given.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet, normal_form, refuse_synonyms
from lalm_ambig.core.class_names import UNKNOWN
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, Split
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.jsonl.columns import Columns, RowMapper, columns_of, mapped_rows
from lalm_ambig.corpora.jsonl.declaration import read_declaration, read_profiles
from lalm_ambig.corpora.jsonl.rows import ItemRow, read_rows, read_tables
from lalm_ambig.corpora.jsonl.scan import Scan, load_scan, put_aside, save_scan, scanned
from lalm_ambig.corpora.jsonl.table_rows import TableFile, table_files
from lalm_ambig.corpora.preparing.fingerprint import corpus_fingerprint
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import REMEDY, SHOWN, Enclosure, Siblings
from lalm_ambig.corpora.reading.splits import split_by_group
from lalm_ambig.files.json_lines import short_repr
from lalm_ambig.files.spool import Spool

SPEECH, TEXTS = "speech_emotion", "text_emotion"
"""Prompts where items have sound, and where none has."""
ENOUGH = 2
"""Fewest classes of a corpus."""
DECLARE = 'Declare them in its first line, {"categories": […]}, or by the option categories.'


class JsonLines(Corpus):
    """The rows of one file; the file or an option declares the classes.

    Args:
        root: The file, or a folder with one file or more per split.
        seed: Seed of the split, where the file gives none.
        fold: None for the file's own split or 70/10/20, or 0 to 4 for one of five folds.
        categories: The classes in order (or a text with commas), where the file does not declare them.
        domain: The kind of thing that is classified (emotion, inference, or a word of one's own), if the names of the
            classes do not tell. Only classes of one domain are the same in two corpora.
        ordered: Whether the classes are the steps of a scale, from the lowest; the file can say so, too.
        columns: Which columns of somebody else's table hold id, text, sound and votes; see `columns.Columns`.
        allow_outside: Accept audio that is not in the file's folder, also such as only a link leads to.
    """

    name = "jsonl"
    ids_are_global = False
    how_to_obtain = "The root of this corpus is a file of JSON Lines (or CSV, or parquet), one row an item."

    def __init__(  # noqa: PLR0913  # no field: `categories` is a property of every corpus
        self,
        root: Path,
        *,
        part: str | None = None,
        seed: int = 0,
        fold: int | None = None,
        categories: Sequence[str] | str = (),
        domain: str = UNKNOWN,
        ordered: bool = False,
        columns: Columns | None = None,
        allow_outside: bool = False,
        skip_bad_rows: bool = False,
    ) -> None:
        super().__init__(root, part=part, seed=seed, fold=fold, skip_bad_rows=skip_bad_rows)
        names = categories.split(",") if isinstance(categories, str) else categories
        self.option_names = tuple(name.strip() for name in names if name.strip())
        self.domain, self.allow_outside = domain, allow_outside
        check_ordered(ordered)
        self.ordered, self.columns = ordered, columns
        self._scans: dict[bool, Scan] = {}
        self._groups: dict[bool, frozenset[str]] = {}
        """What a draw of splits keeps together, once all rows have been read."""

    @classmethod
    def parsed_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options with the columns as `Columns`, and classes that are numbers as texts.

        Raises:
            InputError: A key or value of `columns` is wrong, or a class is neither text nor number.
        """
        parsed = dict(options)
        if "columns" in options:
            parsed["columns"] = columns_of(options["columns"])
        if isinstance(names := options.get("categories"), list):
            parsed["categories"] = [_class_name(name) for name in names]
        return parsed

    @property
    def prompt(self) -> str:
        """Stem for items with sound; where no item has sound, the stem for texts."""
        return SPEECH if self._scan.has_sound else TEXTS

    @property
    def categories(self) -> CategorySet:
        """The classes of the file or the option; without either, all names that votes have, sorted.

        Raises:
            InputError: The option `categories` and the file declare different classes.
        """
        return self._given_categories() or self._union()

    def _given_categories(self) -> CategorySet | None:
        """The classes of the file or the option, for which no row is read; None without either.

        Raises:
            InputError: The two differ, or the classes shall be ordered and nobody names them.
        """
        declared = self._declared
        if declared is None:
            if self.ordered and not self.option_names:
                raise InputError(
                    "ordered classes must be named from the lowest to the highest.",
                    where=str(self.root),
                    remedy="Name them by the option categories."
                    if self._is_mapped
                    else 'Give the option categories, or a first line {"categories": […], "ordered": true}.',
                )
            return self._named(self.option_names) if self.option_names else None
        if self.option_names and [*map(normal_form, self.option_names)] != [
            *map(normal_form, declared.names)
        ]:
            wrong = f"option categories is {', '.join(self.option_names)}, but the file has {', '.join(declared.names)}"
            raise InputError(wrong, where=f"{self.root}:1")
        declared = replace(declared, domain=self.domain) if self.domain else declared
        return replace(declared, ordered=True) if self.ordered else declared

    @property
    def draws_splits(self) -> bool:
        """False if the file gives the splits."""
        return not self._scan.gives_splits

    @property
    def draws_speakers_apart(self) -> bool:
        """False if the file gives the splits."""
        return not self._scan.gives_splits

    def label_files(self) -> Sequence[Path]:
        """Return the file, or the files of a folder.

        Raises:
            InputError: The root is missing, or is a folder without files of rows.
        """
        self.require(self.root)
        return [file.path for file in self._tables]

    def settings(self) -> dict[str, Any]:
        own = {
            "categories": list(self.option_names),
            "domain": self.domain,
            "allow_outside": self.allow_outside,
        }
        if self.ordered:
            own["ordered"] = True
        if self.columns is not None:
            own["columns"] = self.columns.settings
        return {**super().settings(), **own}

    def notes(self) -> Sequence[str]:
        union = "the given ones" if self.option_names else "the names that votes have, sorted"
        source = "declared in the file" if self._declared else union
        by = "as the file says" if self._scan.gives_splits else "seeded, by speaker where known"
        notes = [f"classes: {', '.join(self.categories.names)} ({source})", f"split: {by}"]
        if self._is_mapped and self._scan.named_by_place:
            notes.append("ids: the file's name and the row's number, since no column has any")
        if self._scan.ignored:
            notes.append(f"keys without a meaning here: {', '.join(self._scan.ignored)}")
        return (*notes, *self._scan.bad_notes)

    def read(self) -> Iterator[Item]:
        self._given_categories()  # its faults come before those of rows
        with Spool() as spool:
            rows = self._rows_again(spool)
            names = self.categories.names
            splits = self._seeded_splits()
            yield from (self._item(row, names, splits) for row in rows)

    def _rows_again(self, spool: Spool) -> Iterator[ItemRow]:
        """The good rows. A first reading scans them and puts them aside, so that none is parsed twice.

        The bad ones are in the scan's notes.
        """
        if self.skip_bad_rows in self._groups:
            return self._rows(BadRows(skip=self.skip_bad_rows))
        self._scan_rows(spool)
        return map(ItemRow._make, spool)

    def _item(self, row: ItemRow, names: Sequence[str], splits: Mapping[str, Split]) -> Item:
        votes = row.votes
        return Item(
            id=row.id,
            votes=tuple([votes.get(name, 0.0) for name in names]),
            audio=None if row.audio is None else self._audio_path(row, row.audio),
            text=row.text,
            rationale=row.rationale,
            speaker=row.speaker,
            split=row.split or splits[row.group],
            annotators=tuple([annotator for annotator, _ in row.ratings]),
            annotations=tuple([names.index(chosen) for _, chosen in row.ratings]),
        )

    def annotator_profiles(self) -> Mapping[str, str]:
        """What the first line says of each annotator."""
        files = self.label_files()
        return {} if self._is_mapped else read_profiles(files[0])

    @cached_property
    def _tables(self) -> list[TableFile]:
        return table_files(self.root)

    @property
    def _is_mapped(self) -> bool:
        """Whether rows are of a table with columns of its own, or of another format than JSON Lines."""
        tables = (".csv", ".parquet")
        is_table = len(self._tables) > 1 or self._tables[0].path.suffix.lower() in tables
        return self.columns is not None or is_table

    @cached_property
    def _declared(self) -> CategorySet | None:
        files = self.label_files()
        return None if self._is_mapped else read_declaration(files[0])

    @property
    def _scan(self) -> Scan:
        """The scan for the present value of `skip_bad_rows`, which may change after a first look.

        An earlier start has left it on disk, unless the files, the settings or this code have changed.
        """
        if self.skip_bad_rows not in self._scans:
            earlier = load_scan(self._fingerprint())
            if earlier is None:
                self._scan_rows(None)
            else:
                self._scans[self.skip_bad_rows] = earlier
        return self._scans[self.skip_bad_rows]

    def _scan_rows(self, spool: Spool | None) -> None:
        skip, before = self.skip_bad_rows, self._fingerprint()
        bad_rows = BadRows(skip=skip)
        rows = self._rows(bad_rows)
        watched = rows if spool is None else put_aside(rows, spool)
        self._scans[skip], self._groups[skip] = scanned(watched, bad_rows, where=str(self.root))
        if self._fingerprint() == before:  # else a file has changed meanwhile
            save_scan(before, self._scans[skip])

    def _fingerprint(self) -> str:
        return corpus_fingerprint(self, check_audio=False)

    def _rows(self, bad_rows: BadRows) -> Iterator[ItemRow]:
        """Yield the good rows; every caller leaves out the same ones."""
        files = self.label_files()
        names = self._declared.names if self._declared else self.option_names
        if not self._is_mapped:
            return read_rows(files[0], names, bad_rows=bad_rows)
        mapper = RowMapper(self.columns or Columns(), self.option_names)
        tables = ((file.path, mapped_rows(file, mapper, bad_rows)) for file in self._tables)
        return read_tables(tables, names, bad_rows=bad_rows)

    def _named(self, names: Sequence[str]) -> CategorySet:
        return CategorySet(tuple(names), domain=self.domain, ordered=self.ordered)

    def _union(self) -> CategorySet:
        """The names that votes have, sorted; that order is none of a scale.

        Raises:
            InputError: Two names are one class.
        """
        names = self._scan.names
        try:
            refuse_synonyms(names)
            return self._named(names)
        except InputError as error:
            raise InputError(
                f"the classes are the names that votes have: {error}.",
                where=str(self.root),
                remedy=DECLARE
                if len(names) < ENOUGH
                else f"Give votes for one class under one name. {DECLARE}",
            ) from error

    def _seeded_splits(self) -> dict[str, Split]:
        """The split of every group; empty where the rows have splits."""
        if not self._scan.gives_splits:
            if self.skip_bad_rows not in self._groups:
                self._scan_rows(None)
            return split_by_group(self._groups[self.skip_bad_rows], seed=self.seed, fold=self.fold)
        if self.fold is not None:
            raise InputError(
                f"fold {self.fold} was asked for, but the rows have a split", where=str(self.root)
            )
        return {}

    @cached_property
    def _siblings(self) -> Siblings:
        return Siblings()

    @cached_property
    def _enclosure(self) -> Enclosure:
        folder = self.root if self.root.is_dir() else self.root.parent
        return Enclosure(folder, allow_outside=self.allow_outside)

    def _is_clip(self, audio: str) -> bool:
        """Whether this is a sound that was inside one of the files."""
        return any(audio.startswith(f"{folder}{os.sep}") for folder in self._clip_folders)

    @cached_property
    def _clip_folders(self) -> list[Path]:
        return [folder for file in self._tables for folder in file.clip_folders()]

    def _audio_path(self, row: ItemRow, audio: str) -> str:
        """The path of a row's audio.

        Raises:
            InputError: The path, or the target of a link on it, is not in the file's folder.
        """
        if self._is_mapped and self._is_clip(audio):
            return audio
        folder = self.root.parent if self.root.is_file() else Path(row.where.rpartition(":")[0]).parent
        path = self._siblings.path(os.path.normpath(folder / audio), where=row.where)
        target = None if self.allow_outside else self._enclosure.target(path)
        if target is None:
            return path
        leads = "" if target == path else f": it leads to {target[:SHOWN]}"
        wrong = f"audio {audio[:SHOWN]!r} is not inside the file's folder{leads}."
        raise InputError(wrong, where=row.where, remedy=REMEDY)


def _class_name(name: object) -> str:
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        raise InputError(
            f"categories must be texts, got {short_repr(name)}", where=f"corpus {JsonLines.name}"
        )
    return str(name)


def check_ordered(ordered: object) -> None:
    """Check the option `ordered`.

    Raises:
        InputError: The value is neither true nor false.
    """
    if not isinstance(ordered, bool):
        raise InputError(f"ordered must be true or false, got {ordered!r}", where=f"corpus {JsonLines.name}")
