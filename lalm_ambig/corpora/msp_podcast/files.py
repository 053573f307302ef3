"""Finds the files of MSP-Podcast, under the names that its releases have used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.files.contents import format_of

LABEL_FOLDERS = ("Labels", "labels", "label")
SOUND_FOLDERS = ("Audios", "Audio")
TRANSCRIPT_FOLDER = "Transcripts"
WHERE = "corpus msp_podcast"


def first_folder(root: Path, names: Sequence[str]) -> Path:
    """The first of these folders that exists; the path of the first where none does."""
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that exists, in upper or lower case (1.8 has `Labels.txt`); None where none does."""
    there = {path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_file()}
    return next((there[name.casefold()] for name in names if name.casefold() in there), None)


def find_sounds(folder: Path, enclosure: Enclosure) -> dict[str, str]:
    """Find the sound file of every turn, whatever its ending.

    Returns:
        Turn → path.

    Raises:
        InputError: A path leads out of the corpus, or two files belong to one turn.
    """
    return enclosure.sounds(folder, where=WHERE)


@dataclass(frozen=True)
class Transcripts:
    """The folder of transcripts, one file per turn; it may be missing."""

    folder: Path
    enclosure: Enclosure
    bad_rows: BadRows

    def read(self, turn: str) -> str | None:
        """Read the words of a turn, on one line.

        Returns:
            The words; None where there is no file, or it is empty. A folder, a file that is not text, or bytes that are
            not UTF-8 are a bad row, and give None.

        Raises:
            InputError: The path leads out of the corpus.
        """
        path = f"{self.folder}/{turn}.txt"
        self.enclosure.check(path, where=WHERE)
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.bad_rows.add(f"this transcript cannot be read: {error.strerror}", where=path)
            return None
        if (kind := format_of(content)) is not None or b"\0" in content:
            what = "holds a zero byte" if kind is None else f"is {kind.name}"
            self.bad_rows.add(f"this transcript {what}", where=path)
            return None
        try:
            return " ".join(content.decode("utf-8-sig").split()) or None
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self.bad_rows.add("this transcript is not UTF-8", where=f"{path}:{line}")
            return None
