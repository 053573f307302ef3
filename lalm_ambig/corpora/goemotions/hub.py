"""Rater rows of GoEmotions in the formats of the hub: parquet, arrow and JSON Lines."""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import pyarrow

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.goemotions.rows import COLUMNS, Cells, check_columns
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.json_lines import json_object, numbered_lines
from lalm_ambig.files.places import cache_root

BUILDERS = {".parquet": "parquet", ".arrow": "arrow"}
"""Ending of a file's name → what `datasets` calls that format."""
JSON = (".jsonl", ".json")
"""One object a line under either ending. Not read through `datasets`: its reader (5.2) names no line, gives up
the whole file for one bad row, and brings the process down on a file that holds `null`."""
ROWS_AT_ONCE = 1000


def read_dataset(path: Path, *, remedy: str) -> Iterator[Cells]:
    """The rows of a parquet or arrow file, streamed through `datasets`, without a network or a copy.

    InputError for a missing column (see `check_columns`), and where the file as a whole cannot be read: a damaged
    one has no rows that could be left out one by one.
    """
    if path.stat().st_size == 0:
        raise InputError("the file is empty", where=str(path))
    try:
        with _without_log():
            yield from _streamed(path, remedy)
    except InputError:
        raise
    except (pyarrow.ArrowException, datasets.exceptions.DatasetsError, ValueError, OSError) as error:
        raise InputError(
            f"cannot be read as {BUILDERS[path.suffix.lower()]}: {error}", where=str(path)
        ) from error


def _streamed(path: Path, remedy: str) -> Iterator[Cells]:
    stream = datasets.load_dataset(
        BUILDERS[path.suffix.lower()],
        data_files=glob.escape(str(path)),
        split="train",
        streaming=True,
        cache_dir=str(cache_root() / "datasets"),  # streamed rows are not cached: it only takes locks
    )
    number = 0
    for table in stream.with_format("arrow").iter(ROWS_AT_ONCE):
        check_columns(table.column_names, where=str(path), remedy=remedy)
        columns = [[_as_text(value) for value in table.column(name).to_pylist()] for name in COLUMNS]
        for values in zip(*columns, strict=True):
            number += 1
            yield Cells(f"{path}, row {number}", values)


def read_json(path: Path, *, bad_rows: BadRows, remedy: str) -> Iterator[Cells]:
    """The rows of JSON Lines; what is no object goes to `bad_rows`.

    The first object stands for the header: InputError where it lacks a column (see `check_columns`).
    """
    checked = False
    for where, line in numbered_lines(path):
        try:
            row = json_object(line)
        except InputError as error:
            bad_rows.add(str(error), where=where)
            continue
        if not checked:
            check_columns(list(row), where=str(path), remedy=remedy)
            checked = True
        values = [row.get(name) for name in COLUMNS]
        if any(isinstance(value, list | dict) for value in values):
            bad_rows.add("a column holds a list or an object", where=where)
        else:
            yield Cells(where, [_as_text(value) for value in values])


def _as_text(value: object) -> str:
    """A value as CSV would hold it; one that is missing is empty there."""
    return "" if value is None else str(value)


@contextmanager
def _without_log() -> Iterator[None]:
    """The errors that `datasets` would log on its own are raised as well, and told in one line."""
    before = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(before)
