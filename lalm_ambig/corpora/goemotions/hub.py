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
"""Ending of a file's name → name of the format in `datasets`."""
JSON = (".jsonl", ".json")
"""One object per line under either ending.

Not read through `datasets`: its reader (5.2) names no line, gives up the file for one bad row, and ends the process on
a file that holds `null`."""
ROWS_AT_ONCE = 1000


def read_dataset(path: Path, *, remedy: str) -> Iterator[Cells]:
    """Stream the rows of a parquet or arrow file through `datasets`, without network or copy.

    Args:
        path: The file.
        remedy: How to obtain rater rows.

    Raises:
        InputError: A column is missing (see `check_columns`), or the file is damaged.
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
    """Yield the rows of JSON Lines.

    Args:
        path: The file.
        bad_rows: Collects lines that are not objects.
        remedy: How to obtain rater rows.

    Raises:
        InputError: The first object lacks a column (see `check_columns`).
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
    """A value as CSV holds it; a missing one is empty."""
    return "" if value is None else str(value)


@contextmanager
def _without_log() -> Iterator[None]:
    """Silence the log of `datasets` inside the block: it raises the same errors, too."""
    before = datasets.logging.get_verbosity()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(before)
