"""Finds the files of IEMOCAP: sessions, dialogues, and one sound file per turn."""

import os
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.audio.inspection import is_ignored
from lalm_ambig.core.items import FOLDS
from lalm_ambig.corpora.iemocap.labels import DIALOGUE_NAME, RatedTurn, parse_transcripts, parse_turns
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.files.text import read_text

SESSIONS = range(1, FOLDS + 1)
LABEL_FOLDER = Path("dialog", "EmoEvaluation")
TRANSCRIPT_FOLDER = Path("dialog", "transcriptions")
SOUND_FOLDER = Path("sentences", "wav")


@dataclass(frozen=True)
class Dialogue:
    """Label files of one recording of two actors.

    The same scenario with the markers on the other actor is another dialogue.
    """

    name: str
    session: int
    labels: Path
    transcripts: Path

    def turns(self, bad_rows: BadRows) -> list[RatedTurn]:
        """Parse the rated turns; see `labels.parse_turns`."""
        text = _text(self.labels)
        with bad_rows.reading(self.labels) as reading:
            turns = parse_turns(text, self.name, source=str(self.labels), bad_rows=bad_rows)
            reading.good = len(turns)
        return turns

    def spoken(self, bad_rows: BadRows) -> dict[str, str]:
        """Parse the transcript of each turn; see `labels.parse_transcripts`."""
        text = _text(self.transcripts)
        with bad_rows.reading(self.transcripts) as reading:
            spoken = parse_transcripts(text, self.name, source=str(self.transcripts), bad_rows=bad_rows)
            reading.good = len(spoken)
        return spoken


def session_folder(root: Path, session: int) -> Path:
    """The folder of a session, as distributed."""
    return root / f"Session{session}"


def find_dialogues(root: Path, session: int, *, bad_rows: BadRows) -> list[Dialogue]:
    """Find the dialogues of a session that have labels, by name.

    Args:
        root: Folder of the corpus.
        session: Number of the session, 1 to 5.
        bad_rows: Collects label files that are not named like a dialogue of the session, or have no transcripts.

    Returns:
        The dialogues, sorted by name.
    """
    folder = session_folder(root, session)
    dialogues = []
    for labels in _files(folder / LABEL_FOLDER, ".txt"):
        match = DIALOGUE_NAME.fullmatch(labels.stem)
        transcripts = folder / TRANSCRIPT_FOLDER / labels.name
        if match is None or int(match[1]) != session:
            bad_rows.add(
                f"no dialogue of Session{session} has this name: expected one such as Ses0{session}F_impro01.txt",
                where=str(labels),
            )
        elif not transcripts.is_file():
            bad_rows.add(f"its dialogue has no transcripts: {transcripts} is not there", where=str(labels))
        else:
            dialogues.append(Dialogue(labels.stem, session, labels, transcripts))
    return dialogues


def find_sounds(root: Path, session: int, enclosure: Enclosure) -> dict[str, str]:
    """Find every sound file of a session.

    Returns:
        `DIALOGUE/TURN` → path.

    Raises:
        InputError: A path leads out of the corpus.
    """
    folder = session_folder(root, session) / SOUND_FOLDER
    with os.scandir(folder) as entries:
        dialogues = sorted(entry.name for entry in entries if entry.is_dir())
    return {
        f"{dialogue}/{stem}": path
        for dialogue in dialogues
        for stem, path in enclosure.sounds(folder / dialogue, where="corpus iemocap").items()
    }


def _files(folder: Path, ending: str) -> list[Path]:
    """Files directly in the folder with that ending, by name, without leftovers of macOS."""
    with os.scandir(folder) as entries:
        names = sorted(
            entry.name for entry in entries if entry.name.lower().endswith(ending) and entry.is_file()
        )
    return [folder / name for name in names if not is_ignored(name)]


def _text(path: Path) -> str:
    """The file's text, with any line ends. Letters that are not UTF-8 (in a comment, say) become U+FFFD."""
    return read_text(path, other_letters=True)
