"""Where things are in MSP-Podcast, under the names that its releases have used."""

import os
from collections.abc import Sequence
from pathlib import Path

from lalm_ambig.corpora.bad_rows import BadRows
from lalm_ambig.sound_files import is_ignored

LABEL_FOLDERS = ("Labels", "labels", "label")
SOUND_FOLDERS = ("Audios", "Audio")
TRANSCRIPT_FOLDER = "Transcripts"


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of these folders that is there, or the path of the first, which is not."""
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that is there, in any case (1.8 has `Labels.txt`)."""
    there = {path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_file()}
    return next((there[name.casefold()] for name in names if name.casefold() in there), None)


def find_sounds(folder: Path) -> dict[str, str]:
    """Turn → path of its sound file, without what macOS leaves beside them."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(".wav")]
    return {name.removesuffix(".wav"): f"{folder}/{name}" for name in names if not is_ignored(name)}


def read_transcript(folder: Path, turn: str, *, bad_rows: BadRows) -> str | None:
    """What is said in a turn, on one line; None where there is no file, or nothing in it.

    Bytes that are not UTF-8 are a bad row, by line, and no transcript.
    """
    path = folder / f"{turn}.txt"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return " ".join(content.decode("utf-8-sig").split()) or None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        bad_rows.add("this transcript is not UTF-8", where=f"{path}:{line}")
        return None
