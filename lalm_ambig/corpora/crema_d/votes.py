"""The votes file of CREMA-D and the meaning of its names: the layout that its reader and the demo share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.audio.inspection import SOUND_ENDINGS
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import NumberedRow, Table, header_text, is_missing, open_table, whole_number
from lalm_ambig.files.json_lines import short_repr

VOTES_FILE = Path("processedResults", "tabulatedVotes.csv")
AUDIO_FOLDER = "AudioWAV"
CATEGORIES = CategorySet(("anger", "disgust", "fear", "happiness", "neutral", "sadness"))
VOTE_COLUMNS = ("A", "D", "F", "H", "N", "S")
"""The columns of the votes file, in the order of CATEGORIES."""
CLIP_COLUMN = "fileName"
TOTAL_COLUMN = "numResponses"
"""The number of all votes: optional, and checked where it is present."""
ROW_NAME = re.compile(r"[123]\d{5}(?:\.0*)?", re.ASCII)
USUAL_NAMES = ("Unnamed: 0", "index", "X")
"""Names that programs give to the column of row names, which has no name in the file as released."""
MOST_VOTES = 1_000_000
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
"""Code in a clip's name → the sentence that is said."""
MODALITY_DIGITS = {"voice": "1", "face": "2", "audio_visual": "3"}
"""The stimulus that the judges were given → first digit of the row's name."""
CLIP_NAME = re.compile(r"(\d{4})_([A-Z]{3})_[A-Z]{3}_[A-Z]{2}")
OLD_NAMES = {"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}
"""Name of a clip in older copies → its present name."""


@dataclass(frozen=True)
class Ballot:
    """The votes on one clip."""

    clip: str
    votes: tuple[float, ...]
    """Counts in the order of CATEGORIES, at least one above 0."""

    @property
    def actor(self) -> str:
        return self.clip[:4]

    @property
    def transcript(self) -> str:
        return SENTENCES[self.clip[5:8]]


@dataclass(frozen=True)
class _Columns:
    """Positions of the columns that are read."""

    modality: int
    """The row's name, whose first digit is the stimulus that the judges were given."""
    votes: tuple[int, ...]
    """In the order of CATEGORIES."""
    clip: int
    total: int | None
    """The number of all votes, where the file has it."""


def read_ballots(path: Path, modality: str, *, bad_rows: BadRows) -> list[Ballot]:
    """Read the ballots of one modality, in the file's order.

    Args:
        path: The votes file.
        modality: A key of MODALITY_DIGITS.
        bad_rows: Collects malformed rows and second rows of a clip.

    Returns:
        One ballot per clip.

    Raises:
        InputError: A column is missing, no or several columns may hold the row names, or no row has this modality.
    """
    ballots: dict[str, Ballot] = {}
    with bad_rows.reading(path) as reading, open_table(path) as table:
        votes = tuple(table.position(name) for name in VOTE_COLUMNS)
        clip, total = (
            table.position(CLIP_COLUMN),
            table.position(TOTAL_COLUMN) if table.has(TOTAL_COLUMN) else None,
        )
        rows = list(table.rows(bad_rows))
        columns = _Columns(_row_names(table, rows), votes, clip, total)
        for line, row in rows:
            try:
                ballot = _ballot(row, columns, modality=modality)
                if ballot is not None and ballot.clip in ballots:
                    raise InputError(f"second row for clip {ballot.clip}")
            except InputError as error:
                bad_rows.add(str(error), where=f"{path}:{line}")
                continue
            if ballot is not None:
                ballots[ballot.clip] = ballot
        reading.good = len(ballots)
        if not ballots and not reading.kinds:
            raise InputError(f"no row is of a clip that was judged by {modality}", where=str(path))
    return list(ballots.values())


def _row_names(table: Table, rows: Sequence[NumberedRow]) -> int:
    """Position of the column of row names: among nameless columns, the one with six digits that begin with 1, 2 or 3.

    A column that pandas adds in front when it saves the file again holds smaller numbers.
    """
    named = []
    for place in table.unnamed():
        fitting = sum(ROW_NAME.fullmatch(row[place].strip()) is not None for _, row in rows)
        if 2 * fitting > len(rows):
            named.append(place)
    if not named and rows:
        wrong = (
            "no column holds the rows' names, of which the first digit says what was judged (1 voice, 2 face, "
            f"3 both): six digits each, under an empty header or {', '.join(map(repr, USUAL_NAMES))}; the file has "
            f"{header_text([name or repr(name) for name in table.names])}."
        )
        raise InputError(wrong, where=f"{table.source}:1", remedy="Fetch the file again.")
    if any(row[named[0]].strip() != row[other].strip() for other in named[1:] for _, row in rows):
        names = " and ".join(repr(table.names[place]) for place in named[:2])
        raise InputError(
            f"columns {names} may both hold the rows' names, and differ", where=f"{table.source}:1"
        )
    return named[0] if named else 0


def _ballot(row: Sequence[str], columns: _Columns, *, modality: str) -> Ballot | None:
    """The ballot of a row; None for another modality.

    Raises:
        InputError: The row is malformed.
    """
    name = row[columns.modality].strip()
    if not ROW_NAME.fullmatch(name):
        raise InputError(f"the row's name, six digits, must begin with 1, 2 or 3, got {name!r}")
    if name[0] != MODALITY_DIGITS[modality]:
        return None
    clip = current_name(_stem(row[columns.clip].strip()))
    match = CLIP_NAME.fullmatch(clip)
    if match is None or match[1] not in ACTORS or match[2] not in SENTENCES:
        raise InputError(f"{clip!r} is no clip's name: expected actor (1001-1091)_sentence_emotion_level")
    total = "" if columns.total is None else row[columns.total]
    return Ballot(clip, _counts([row[place] for place in columns.votes], total, clip))


def _stem(name: str) -> str:
    """The clip of a sound file's name."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in SOUND_ENDINGS else name


def _counts(cells: Sequence[str], total: str, clip: str) -> tuple[float, ...]:
    """Votes of one clip. An empty cell counts as 0 only where the number of all votes is present."""
    all_votes = None if is_missing(total) else whole_number(total)
    if all_votes is None and not is_missing(total):
        raise InputError(f"column {TOTAL_COLUMN!r} must hold a count of votes, got {short_repr(total)}")
    votes = []
    for column, cell in zip(VOTE_COLUMNS, cells, strict=True):
        count = 0 if is_missing(cell) and all_votes is not None else whole_number(cell)
        if count is None or count > MOST_VOTES:
            raise InputError(f"column {column!r} must hold a count of votes, got {short_repr(cell)}")
        votes.append(float(count))
    if not any(votes):
        raise InputError(f"clip {clip} has no votes: {', '.join(VOTE_COLUMNS)} are all 0")
    if all_votes is not None and sum(votes) != all_votes:
        raise InputError(
            f"the votes of clip {clip} sum to {sum(votes):g}, and {TOTAL_COLUMN} is {all_votes:,}"
        )
    return tuple(votes)


def current_name(clip: str) -> str:
    """The name that the votes file has today for a clip of that name."""
    return OLD_NAMES.get(clip, clip)
