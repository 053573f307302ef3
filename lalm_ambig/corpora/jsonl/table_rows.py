"""Rows of tables as they are distributed: JSON Lines, CSV and parquet, one file or one per split."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.jsonl.clips import Clips, clip_folder
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import open_table
from lalm_ambig.files.json_lines import json_object, numbered_lines

ENDINGS = (".parquet", ".csv", ".jsonl", ".json")
"""Kinds of files."""
SPLIT_FILE = re.compile(r"(train|validation|valid|val|dev|test)(?![a-z])", re.IGNORECASE)
"""Beginning of the name of a file that holds a split."""
SPLITS = {"valid": "validation", "val": "validation", "dev": "validation"}
FOLDERS = ("", "data")
"""Folders of a dataset that are searched for its files."""
ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class RawRow:
    """One row of a table."""

    cells: Mapping[str, Any]
    """Column → value."""
    name: str
    """The file's name and the row's number, for an id."""
    split: str | None = None
    """The split that the file's name says."""
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column of labels → names of the classes that its numbers mean, where the file says it."""
    clips: Mapping[str, str | None] = field(default_factory=dict)
    """Column of sound inside the file → path of the row's clip."""


Load = Callable[[], RawRow]
"""Parses a row, or raises InputError."""


@dataclass(frozen=True)
class TableFile:
    """One file, and the split that its name says."""

    path: Path
    split: str | None = None

    def rows(self, bad_rows: BadRows) -> Iterator[tuple[str, Load]]:
        """Yield the place of each row (file:line, or file:row) and what parses it.

        Raises:
            InputError: The file is damaged, or not of the kind that its name says.
        """
        readers = {".parquet": self._parquet, ".csv": self._csv}
        ending = self.path.suffix.lower()
        if ending not in (*ENDINGS, ".ndjson"):
            wrong = f"the name ends with {ending or 'nothing'}, which does not tell what it holds."
            raise InputError(wrong, where=str(self.path), remedy=f"Save it as one of {', '.join(ENDINGS)}.")
        yield from readers.get(ending, self._json)(bad_rows)

    def clip_folders(self) -> list[Path]:
        """Folders of the sounds that were inside the file."""
        if self.path.suffix.lower() != ".parquet":
            return []
        schema = pyarrow.parquet.read_schema(self.path)
        return [clip_folder(self.path, name) for name in sound_columns(schema)]

    def _raw(self, cells: Mapping[str, Any], number: int, **more: Any) -> RawRow:
        return RawRow(cells, place_name(f"{self.path}:{number}"), self.split, **more)

    def _json(self, bad_rows: BadRows) -> Iterator[tuple[str, Load]]:
        for where, line in numbered_lines(self.path):
            number = int(where.rpartition(":")[2])
            yield where, partial(lambda content, n: self._raw(json_object(content), n), line, number)

    def _csv(self, bad_rows: BadRows) -> Iterator[tuple[str, Load]]:
        with open_table(self.path, multi_line=True) as table:
            for name in table.names:
                table.position(name)  # refuses a column that is there twice
            for line, row in table.rows(bad_rows):
                cells = {name: value or None for name, value in zip(table.names, row, strict=True)}
                yield f"{self.path}:{line}", partial(self._raw, cells, line)

    def _parquet(self, bad_rows: BadRows) -> Iterator[tuple[str, Load]]:
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                schema = file.schema_arrow
                clips = {name: Clips(self.path, name) for name in sound_columns(schema)}
                named = label_names(schema)
                number = 0
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=_without_bytes(schema)):
                    for cells in batch.to_pylist():
                        number += 1
                        here = {name: one.path(number) for name, one in clips.items()}
                        load = partial(self._raw, cells, number, label_names=named, clips=here)
                        yield f"{self.path}:{number}", load
        except (pyarrow.ArrowException, OSError) as error:
            raise InputError(f"cannot be read as parquet: {error}", where=str(self.path)) from error


def place_name(where: str) -> str:
    """The name of a row by its place: the file's name without ending, and the number.

    >>> place_name("data/train.csv:7")
    'train/7'
    """
    path, _, number = where.rpartition(":")
    return f"{Path(path).stem}/{number}"


def sound_columns(schema: Any) -> list[str]:
    """Columns of a parquet file that hold files themselves: bytes, beside the path that they had."""
    return [one.name for one in schema if pyarrow.types.is_struct(one.type) and _bytes_in(one.type)]


def _bytes_in(struct: Any) -> bool:
    return any(
        inner.name == "bytes"
        and (pyarrow.types.is_binary(inner.type) or pyarrow.types.is_large_binary(inner.type))
        for inner in struct.fields
    )


def _without_bytes(schema: Any) -> list[str]:
    """Names of columns, without the bytes of sounds: these are read once, into files."""
    sounds = set(sound_columns(schema))
    return [f"{name}.path" if name in sounds else name for name in schema.names]


def label_names(schema: Any) -> dict[str, tuple[str, ...]]:
    """Column → the names of the classes that its numbers mean, for those of which a file of `datasets` says it."""
    named: dict[str, tuple[str, ...]] = {}
    if b"huggingface" not in (schema.metadata or {}):
        return named
    import datasets  # not above: it takes half a second

    try:
        features = datasets.Features.from_arrow_schema(schema)
    except (
        ValueError,
        TypeError,
        KeyError,
    ):  # a note of another version; the columns are readable all the same
        return named
    for column, feature in features.items():
        inner = getattr(feature, "feature", feature)
        if isinstance(inner, datasets.ClassLabel):
            named[column] = tuple(inner.names)
    return named


def table_files(root: Path) -> list[TableFile]:
    """Find the files of a table.

    Args:
        root: One file, or a folder with one file per split or several per split.

    Raises:
        InputError: The folder has no such file, files of several kinds, or files that are not splits.
    """
    if root.is_file():
        return [TableFile(root)]
    for folder in FOLDERS:
        files = sorted(p for p in (root / folder).glob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        files = [
            path for path in files if not path.name.startswith((".", "dataset_info", "dataset_dict", "state"))
        ]
        if files:
            return _by_split(files, root)
    inner = sorted(
        {path.parent.relative_to(root).as_posix() for path in root.glob("*/**/*") if path.suffix in ENDINGS}
    )
    below = f"; give one of its folders: {', '.join(inner[:8])}" if inner else ""
    wrong = f"{root} has no file that ends with {', '.join(ENDINGS)}{below}"
    raise InputError(wrong, where="corpus jsonl")


def _by_split(files: list[Path], root: Path) -> list[TableFile]:
    names = ", ".join(path.relative_to(root).as_posix() for path in files[:8])
    if len({path.suffix.lower() for path in files}) > 1:
        raise InputError(
            f"files of several kinds in {root}: {names}.", where="corpus jsonl", remedy="Name one file."
        )
    if len(files) == 1:
        return [TableFile(files[0])]
    matches = [SPLIT_FILE.match(path.name) for path in files]
    splits = [None if match is None else match[1].lower() for match in matches]
    if None in splits:
        wrong = f"{root} has several files, and not all are called train, validation or test: {names}."
        raise InputError(wrong, where="corpus jsonl", remedy="Name one file.")
    named = [SPLITS.get(str(split), str(split)) for split in splits]
    only_one = len(set(named)) == 1  # then it says nothing, and a split is drawn
    return [TableFile(path, None if only_one else split) for path, split in zip(files, named, strict=True)]
