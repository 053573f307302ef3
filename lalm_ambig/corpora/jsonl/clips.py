"""Sounds that a parquet file holds, written once as files into the cache: corpora name files, and models read them."""

import hashlib
from functools import cached_property
from pathlib import Path

import pyarrow.parquet

from lalm_ambig.files.atomic import new_folder
from lalm_ambig.files.places import cache_root

BEGINNINGS = ((b"RIFF", ".wav"), (b"RF64", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"))
"""First bytes of a sound → the ending of its name."""
MP3_MASK = 0xE0
DIGITS = 32
ROWS_AT_ONCE = 100


class Clips:
    """The clips of one column of a parquet file, in a folder of the cache with one file per row."""

    def __init__(self, path: Path, column: str) -> None:
        """Args:
        path: The parquet file. Its content names the folder.
        column: A column of objects with `bytes`.
        """
        self.source, self.column = path, column

    def path(self, number: int) -> str | None:
        """The clip of a row, counted from 1; None where the row holds no bytes."""
        name = self._names.get(f"{number:08d}")
        return None if name is None else str(self.folder / name)

    @cached_property
    def folder(self) -> Path:
        """The folder of the clips; they are written if it is not there yet."""
        folder = clip_folder(self.source, self.column)
        if not folder.is_dir():
            with new_folder(folder) as unfinished:
                self._write(unfinished)
        return folder

    @cached_property
    def _names(self) -> dict[str, str]:
        return {path.stem: path.name for path in self.folder.iterdir()}

    def _write(self, folder: Path) -> None:
        number = 0
        with pyarrow.parquet.ParquetFile(self.source) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=[f"{self.column}.bytes"]):
                for row in batch.to_pylist():
                    number += 1
                    content = (row[self.column] or {}).get("bytes")
                    if content is not None:
                        (folder / f"{number:08d}{_ending(content)}").write_bytes(content)


def clip_folder(path: Path, column: str) -> Path:
    """The folder in the cache for the clips of a column of a file with this content."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    column_digest = hashlib.sha256(column.encode()).hexdigest()
    return cache_root() / "clips" / f"{digest[:DIGITS]}-{column_digest[:8]}"


def _ending(content: bytes) -> str:
    for beginning, ending in BEGINNINGS:
        if content.startswith(beginning):
            return ending
    is_mp3 = len(content) > 1 and content[0] == 0xFF and content[1] & MP3_MASK == MP3_MASK
    return ".mp3" if is_mp3 else ".wav"
