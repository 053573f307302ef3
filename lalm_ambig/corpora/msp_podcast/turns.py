"""Votes per turn of MSP-Podcast, counted: one record for all label files."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.msp_podcast.scales import Scale
from lalm_ambig.corpora.msp_podcast.secondary import (
    CATEGORIES,
    OUTSIDE,
    UNREADABLE,
    category_place,
    is_other,
    secondary_words,
)
from lalm_ambig.corpora.msp_podcast.votes import LAYOUTS, NO_RATINGS, VoteRow
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.text import open_lines

WITH_OTHER = CategorySet((*CATEGORIES.names, "other"))
"""The nine classes."""
CODES = ("A", "C", "D", "F", "H", "N", "S", "U")
"""The consensus file's codes, in the order of CATEGORIES."""
OTHER_CODE, NO_AGREEMENT = "O", "X"
UNIT = 2520
"""Parts of a vote: the smallest number that 1 to 9 classes share evenly, so that sums are exact in any order."""


@dataclass(frozen=True, slots=True)
class VotedTurn:
    """The votes on one turn."""

    name: str
    votes: tuple[int, ...]
    """Counts in the order of CATEGORIES, then those outside; of a scale, in the order of its steps."""
    line: int
    """First line of the turn in the label file."""
    workers: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    """What each of `workers` chose: a position in `votes`."""
    shares: tuple[int, ...] = ()
    """As `votes`, in parts of a vote (UNIT), with secondary emotions; empty where these are not counted."""
    unrated: int = 0
    """Raters without a rating on the scale that was asked for; they are none of `workers`."""

    @property
    def inside(self) -> bool:
        """True where every vote is for one of the classes, as on a scale."""
        return not any(self.votes[OUTSIDE:])

    def class_votes(self, classes: int) -> tuple[float, ...]:
        """The votes of the first so many classes, where the others have none."""
        if self.shares:
            return tuple(part / UNIT for part in self.shares[:classes])
        return tuple(map(float, self.votes[:classes]))

    @property
    def mean_step(self) -> float:
        """Mean rating on a scale, from 1; NaN without one."""
        ratings = sum(self.votes)
        return sum(step * n for step, n in enumerate(self.votes, start=1)) / ratings if ratings else math.nan

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
    votes: list[int]
    workers: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    shares: list[int] = field(default_factory=list)
    unrated: set[str] = field(default_factory=set)

    def turn(self, name: str) -> VotedTurn:
        workers, places = tuple(self.workers), tuple(self.places)
        return VotedTurn(
            name, tuple(self.votes), self.line, workers, places, tuple(self.shares), len(self.unrated)
        )


@dataclass
class Sharing:
    """Shares the vote of a rater among the classes that the rater named, and counts what it met."""

    other_is_class: bool
    """Whether `Other-…` among the secondary emotions names a class."""
    lists: int = 0
    """Lists of secondary emotions that are not empty."""
    shared: int = 0
    """Votes that more than one class shares."""
    unreadable: int = 0
    """Lists that cannot be told from free text; the primary emotion then has the vote."""
    not_counted: Counter[str] = field(default_factory=Counter)
    """Secondary words, by votes, that are no class."""
    _read: dict[tuple[int, str], tuple[list[int], list[str]]] = field(default_factory=dict)
    """Places and uncounted words by primary emotion and list, since few of these differ."""

    def add(self, shares: list[int], primary: int, secondary: str) -> None:
        """Add one vote to the shares of a turn, in parts (UNIT)."""
        if not shares:
            shares += [0] * (OUTSIDE + 1)
        self.lists += bool(secondary)
        if secondary == UNREADABLE:
            self.unreadable += 1
            secondary = ""
        if (primary, secondary) not in self._read:
            self._read[primary, secondary] = self._parsed(primary, secondary_words(secondary))
        places, not_counted = self._read[primary, secondary]
        if not_counted:
            self.not_counted.update(not_counted)
        self.shared += len(places) > 1
        for place in places:
            shares[place] += UNIT // len(places)

    def _parsed(self, primary: int, words: list[str]) -> tuple[list[int], list[str]]:
        """Places of the classes that share the vote, and the words that are no class."""
        places = {primary}
        not_counted = []
        for word in words:
            place = category_place(word)
            if place != OUTSIDE or (self.other_is_class and is_other(word)):
                places.add(place)
            else:
                not_counted.append("Other-…" if is_other(word) else word)
        return sorted(places), not_counted


def read_votes(
    path: Path, layout: str, *, bad_rows: BadRows, sharing: Sharing | None = None, scale: Scale | None = None
) -> Votes:
    """Read the votes of a label file.

    Args:
        path: The file. Letters that are not UTF-8, in free text, become U+FFFD.
        layout: A key of LAYOUTS.
        bad_rows: Collects malformed rows.
        sharing: Counts secondary emotions, too; None for primary ones alone.
        scale: Counts ratings on it instead of emotions.

    Returns:
        The votes of every turn.

    Raises:
        InputError: Secondary emotions or ratings are counted, and the file has none.
    """
    reader = LAYOUTS[layout][1]
    with bad_rows.reading(path) as reading, open_lines(path, other_letters=True) as file:
        rows = reader(file, str(path), bad_rows, scale)
        votes = count_votes(rows, source=str(path), bad_rows=bad_rows, sharing=sharing, scale=scale)
        reading.good = sum(sum(turn.votes) for turn in votes.turns.values())
    if scale is not None and not reading.good:
        raise InputError(
            f"no rater has a rating of {scale.name} here, and target is {scale.name}.",
            where=str(path),
            remedy=NO_RATINGS,
        )
    if sharing is not None and not sharing.lists:
        raise InputError(
            "no rater has secondary emotions here, and votes is primary_and_secondary.",
            where=str(path),
            remedy="Leave the option votes out, or name a file that has them by the option labels (txt, csv, json).",
        )
    return votes


def count_votes(
    rows: Iterable[VoteRow],
    *,
    source: str,
    bad_rows: BadRows,
    sharing: Sharing | None = None,
    scale: Scale | None = None,
) -> Votes:
    """Count the rows by turn, in any order. Bad rows: a worker's second vote on a turn, a rating off the scale."""
    classes = OUTSIDE + 1 if scale is None else len(scale.categories)
    counts: dict[str, _Count] = {}
    places: dict[str, int | None] = {}
    unknown: Counter[str] = Counter()
    for turn, worker, primary, line, secondary, rating in rows:
        count = counts.get(turn)
        if count is None:
            count = counts[turn] = _Count(line, [0] * classes)
        if not worker:
            continue
        if worker in count.workers or worker in count.unrated:
            bad_rows.add(f"second vote of {worker} on turn {turn}", where=f"{source}:{line}")
            continue
        chosen = primary if scale is None else rating
        try:
            if chosen not in places:
                places[chosen] = category_place(primary) if scale is None else scale.place(rating)
        except InputError as error:
            bad_rows.add(f"turn {turn}: {error}", where=f"{source}:{line}")
            continue
        place = places[chosen]
        if place is None:
            count.unrated.add(worker)
            continue
        count.workers.append(intern(worker))
        count.votes[place] += 1
        count.places.append(place)
        if sharing is not None:
            sharing.add(count.shares, place, secondary)
        if place == OUTSIDE and not is_other(primary):
            unknown[primary] += 1
    return Votes(source, {name: one.turn(name) for name, one in counts.items()}, unknown)
