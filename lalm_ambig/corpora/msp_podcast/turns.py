"""Votes per turn of MSP-Podcast, counted: one record for all label files."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.corpora.msp_podcast.votes import LAYOUTS, VoteRow
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.text import open_lines

CATEGORIES = CategorySet(("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise"))
CODES = ("A", "C", "D", "F", "H", "N", "S", "U")
"""The consensus file's codes, in the order of CATEGORIES."""
OTHER_CODE, NO_AGREEMENT = "O", "X"
OUTSIDE = len(CATEGORIES)
"""Position of the votes for none of the classes."""


@dataclass(frozen=True, slots=True)
class VotedTurn:
    """The votes on one turn."""

    name: str
    votes: tuple[int, ...]
    """Counts in the order of CATEGORIES, then those outside."""
    line: int
    """First line of the turn in the label file."""
    workers: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    """What each of `workers` chose: a position in CATEGORIES, or OUTSIDE."""

    @property
    def inside(self) -> bool:
        """True where every vote is for one of the classes."""
        return not self.votes[OUTSIDE]

    @property
    def plurality(self) -> str:
        """Code of the class with the most votes; X where two or more share the most."""
        most = max(self.votes)
        return (*CODES, OTHER_CODE)[self.votes.index(most)] if self.votes.count(most) == 1 else NO_AGREEMENT


@dataclass(frozen=True)
class Votes:
    """Every turn of a label file."""

    source: str
    """Its path, as errors name it."""
    turns: dict[str, VotedTurn]
    """By name, in the file's order."""
    unknown_words: Counter[str]
    """Primary emotions, by votes, that are neither a class nor `Other…`."""


@dataclass(slots=True)
class _Count:
    line: int
    votes: list[int] = field(default_factory=lambda: [0] * (OUTSIDE + 1))
    workers: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


def read_votes(path: Path, layout: str, *, bad_rows: BadRows) -> Votes:
    """Read the votes of a label file.

    Args:
        path: The file. Letters that are not UTF-8, in free text, become U+FFFD.
        layout: A key of LAYOUTS.
        bad_rows: Collects malformed rows.

    Returns:
        The votes of every turn.
    """
    reader = LAYOUTS[layout][1]
    with bad_rows.reading(path) as reading, open_lines(path, other_letters=True) as file:
        votes = count_votes(reader(file, str(path), bad_rows), source=str(path), bad_rows=bad_rows)
        reading.good = sum(sum(turn.votes) for turn in votes.turns.values())
    return votes


def count_votes(rows: Iterable[VoteRow], *, source: str, bad_rows: BadRows) -> Votes:
    """Count the rows by turn, in any order. A worker's second vote on a turn is a bad row."""
    counts: dict[str, _Count] = {}
    places: dict[str, int] = {}
    unknown: Counter[str] = Counter()
    for turn, worker, primary, line in rows:
        count = counts.get(turn)
        if count is None:
            count = counts[turn] = _Count(line)
        if not worker:
            continue
        if worker in count.workers:
            bad_rows.add(f"second vote of {worker} on turn {turn}", where=f"{source}:{line}")
            continue
        count.workers.append(intern(worker))
        place = places.get(primary)
        if place is None:
            place = places[primary] = category_place(primary)
        count.votes[place] += 1
        count.places.append(place)
        if place == OUTSIDE and not primary.casefold().startswith("other"):
            unknown[primary] += 1
    turns = {
        name: VotedTurn(name, tuple(one.votes), one.line, tuple(one.workers), tuple(one.places))
        for name, one in counts.items()
    }
    return Votes(source, turns, unknown)


def category_place(primary: str) -> int:
    """Position of a primary emotion in CATEGORIES; OUTSIDE for `Other`, `Other-…` and any unknown word."""
    word = primary.casefold()
    return CATEGORIES.names.index(word) if word in CATEGORIES.names else OUTSIDE
