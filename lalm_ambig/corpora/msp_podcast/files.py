"""Where things are in MSP-Podcast, under the names that its releases have used."""

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
    """The first of these folders that is there, or the path of the first, which is not."""
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def first_file(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of these files that is there, in any case (1.8 has `Labels.txt`)."""
    there = {path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_file()}
    return next((there[name.casefold()] for name in names if name.casefold() in there), None)


def find_sounds(folder: Path, enclosure: Enclosure) -> dict[str, str]:
    """Turn → path of its sound file, whatever its ending; InputError for one that leads out, and for two of a turn."""
    return enclosure.sounds(folder, where=WHERE)


@dataclass(frozen=True)
class Transcripts:
    """The folder of transcripts, one file a turn, which may be missing."""

    folder: Path
    enclosure: Enclosure
    bad_rows: BadRows

    def read(self, turn: str) -> str | None:
        """What is said in a turn, on one line; None where there is no file, or nothing in it.

        What is no file, no text, or holds bytes that are not UTF-8, is a bad row and no transcript. InputError for one
        that leads out of the corpus.
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
