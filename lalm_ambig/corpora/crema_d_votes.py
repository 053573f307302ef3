"""The votes file of CREMA-D and what the names in it mean: the layout that its reader and the demo share."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.categories import CategorySet
from lalm_ambig.corpora.bad_rows import BadRows
from lalm_ambig.errors import InputError

VOTES_FILE = Path("processedResults", "tabulatedVotes.csv")
AUDIO_FOLDER = "AudioWAV"
CATEGORIES = CategorySet(("anger", "disgust", "fear", "happiness", "neutral", "sadness"))
VOTE_COLUMNS = ("A", "D", "F", "H", "N", "S")
"""The columns of the votes file, in the order of CATEGORIES."""
CLIP_COLUMN = "fileName"
ACTORS = tuple(str(number) for number in range(1001, 1092))
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
"""What is said, by the code in a clip's name."""
MODALITY_DIGITS = {"voice": "1", "face": "2", "audio_visual": "3"}
"""First digit of a row's name, which is the first column: what the judges were given."""
CLIP_NAME = re.compile(r"(\d{4})_([A-Z]{3})_[A-Z]{3}_[A-Z]{2}")
OLD_NAMES = {"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}
"""Names that older copies use for a clip, and the name it has now."""


@dataclass(frozen=True)
class Ballot:
    """What the judges of one clip chose."""

    clip: str
    votes: tuple[float, ...]
    """Counts in the order of CATEGORIES, at least one of them above 0."""

    @property
    def actor(self) -> str:
        return self.clip[:4]

    @property
    def transcript(self) -> str:
        return SENTENCES[self.clip[5:8]]


def read_ballots(path: Path, modality: str, *, bad_rows: BadRows) -> list[Ballot]:
    """The ballots of one modality in the file's order; InputError for a missing column."""
    ballots: dict[str, Ballot] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        columns = _columns(next(rows, []), path)
        for row in rows:
            try:
                ballot = _ballot(row, columns, modality=modality)
                if ballot is not None and ballot.clip in ballots:
                    raise InputError(f"second row for clip {ballot.clip}")
            except InputError as error:
                bad_rows.add(str(error), where=f"{path}:{rows.line_num}")
                continue
            if ballot is not None:
                ballots[ballot.clip] = ballot
    return list(ballots.values())


def _columns(header: Sequence[str], path: Path) -> dict[str, int]:
    columns = {name.strip(): position for position, name in enumerate(header)}
    missing = [name for name in (*VOTE_COLUMNS, CLIP_COLUMN) if name not in columns]
    if missing:
        present = ", ".join(columns) or "none"
        raise InputError(f"missing column {missing[0]!r}; the file has {present}", where=str(path))
    return columns


def _ballot(row: Sequence[str], columns: Mapping[str, int], *, modality: str) -> Ballot | None:
    """The ballot of a row, or None for another modality or a blank; InputError where it is malformed."""
    if not any(row):
        return None
    if row[0][:1] not in MODALITY_DIGITS.values():
        raise InputError(f"the row's name must begin with 1, 2 or 3, got {row[0]!r}")
    if row[0][:1] != MODALITY_DIGITS[modality]:
        return None
    if len(row) <= max(columns[name] for name in (*VOTE_COLUMNS, CLIP_COLUMN)):
        raise InputError(f"{len(row)} columns are too few")
    clip = current_name(row[columns[CLIP_COLUMN]].strip())
    match = CLIP_NAME.fullmatch(clip)
    if match is None or match[1] not in ACTORS or match[2] not in SENTENCES:
        raise InputError(f"{clip!r} is no clip's name: expected actor (1001-1091)_sentence_emotion_level")
    votes = tuple(_count(row[columns[name]], name) for name in VOTE_COLUMNS)
    if not any(votes):
        raise InputError(f"clip {clip} has no votes: {', '.join(VOTE_COLUMNS)} are all 0")
    return Ballot(clip, votes)


def current_name(clip: str) -> str:
    """The name that the votes file has today for a clip of that name."""
    return OLD_NAMES.get(clip, clip)


def _count(text: str, column: str) -> float:
    if not text.strip().isdecimal():
        raise InputError(f"column {column!r} must hold a count of votes, got {text!r}")
    return float(text)
