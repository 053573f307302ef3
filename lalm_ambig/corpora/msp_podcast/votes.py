"""The raters' votes of MSP-Podcast, from any of its three label files.

`labels.txt` has one block per turn: its consensus, then one line per rater.

    MSP-PODCAST_0007_0012.wav; S; A:3.000000; V:2.500000; D:3.000000;
    WORKER00000007; Sad; Sad,Depressed; A:3.000000; V:2.000000; D:3.000000;
    WORKER00000031; Other-tired; Sad; A:3.000000; V:3.000000; D:3.000000;

`labels_detailed.csv` has one row per rater: `FileName,EmoDetail`, where the second is such a rater's line, or (up to
1.6, and in 2.0) own columns for worker and EmoClass_Major. `labels_detailed.json` is an object by file, then by
worker. Each of them becomes a `VotedTurn` (`corpora/msp_podcast/turns.py`).

A vote is the primary emotion, the first field after the worker. The secondary emotions follow (`secondary`), then the
ratings of arousal, valence and dominance (`scales`). These may be missing, empty or free text with semicolons; the
vote counts all the same.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lalm_ambig.audio.inspection import SOUND_ENDINGS
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.msp_podcast.scales import ATTRIBUTE, Scale, rating_field
from lalm_ambig.corpora.msp_podcast.secondary import SECONDARY, secondary_field
from lalm_ambig.corpora.msp_podcast.tables import Members, json_entries
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import Table, is_missing, name_text
from lalm_ambig.files.json_lines import Pairs, short_repr
from lalm_ambig.files.text import MARK

PRIMARY = "EmoClass_Major"
WORKER_COLUMNS = ("Workers", "WorkerID", "Worker", "AnnotatorID")
NO_RATINGS = (
    "Leave the option target out, or name a file that has them by the option labels (txt, csv, json)."
)
"""What to do where a file has no ratings on the scale that was asked for."""
_ENDING = "|".join(re.escape(ending) for ending in sorted(SOUND_ENDINGS))
_FILE_NAME = re.compile(rf"(MSP-PODCAST(?:_(?:\d+|[A-Za-z]+\d*))+)(?i:{_ENDING})?", re.ASCII)
"""Numbers of podcast and turn; in the hidden part a word and a number, such as `test3_0001`."""
_TURN_LINE = re.compile(rf"MSP-|[^;]*(?i:{_ENDING})\s*(?:;|$)", re.ASCII)
"""A line that names a turn, perhaps wrongly."""
_WORKER = re.compile(r"WORKER\d+", re.ASCII)


class VoteRow(NamedTuple):
    """One rater's vote on one turn. A row without a worker only says that the turn is in the file."""

    turn: str
    """Name of the sound file without its ending."""
    worker: str
    primary: str
    """As written, such as `Happy` or `Other-bored`."""
    line: int
    secondary: str = ""
    """The list of secondary emotions as written; empty where there is none."""
    rating: str = ""
    """On the scale that was asked for, as written; empty where there is none."""


Reader = Callable[[Iterable[str], str, BadRows, Scale | None], Iterator[VoteRow]]
"""Reads the rows of a file: its lines, its name, the collector of bad rows, and the scale whose ratings are wanted."""


class _Judged(NamedTuple):
    """What a rater chose, in place of the JSON object that held it."""

    primary: str
    secondary: str
    rating: str


def turn_name(file_name: str) -> str:
    """The turn of a sound file.

    Raises:
        InputError: The name is not that of a turn's file.
    """
    match = _FILE_NAME.fullmatch(file_name.strip())
    if match is None:
        raise InputError(
            f"{short_repr(file_name)} is no turn's file: expected one such as MSP-PODCAST_0007_0012.wav"
        )
    return match[1]


def rater_vote(text: str, scale: Scale | None = None) -> tuple[str, str]:
    """Worker and primary emotion of a rater's line.

    Raises:
        InputError: One of them is missing; of a scale, only the worker is needed.
    """
    worker, _, rest = text.partition(";")
    if not _WORKER.fullmatch(worker.strip()):
        raise InputError(f"expected `WORKER…; primary emotion; …`, got {short_repr(text)}")
    return check_vote(worker, rest.partition(";")[0], scale)


def check_vote(worker: str, primary: str, scale: Scale | None = None) -> tuple[str, str]:
    """Worker and primary emotion without blanks around them.

    Raises:
        InputError: One of the two is missing; of a scale, only the worker is needed.
    """
    worker, primary = worker.strip(), primary.strip()
    if is_missing(worker):
        raise InputError(f"primary emotion {short_repr(primary)} has no worker")
    if scale is None and (is_missing(primary) or ATTRIBUTE.match(primary)):
        raise InputError(f"{short_repr(worker)} names no primary emotion")
    return worker, primary


def txt_rows(
    lines: Iterable[str], source: str, bad_rows: BadRows, scale: Scale | None = None
) -> Iterator[VoteRow]:
    """Yield the votes of `labels.txt`.

    Bad rows, by line:

    - a line that is neither a turn's nor a rater's;
    - a rater before the first turn, or without a primary emotion;
    - a second block of a turn, with its raters.

    An unknown line right after a blank line counts as a turn's, and its raters are dropped with it.

    Raises:
        InputError: A row is bad, and `bad_rows` leaves none out.
    """
    turn: str | None = None
    seen: set[str] = set()
    after_blank, passed_over = True, False
    for number, text in enumerate(lines, start=1):
        text = text.strip().lstrip(MARK)
        if not text:
            after_blank = True
            continue
        try:
            if not text.startswith("WORKER"):
                if after_blank or _TURN_LINE.match(text):
                    turn, passed_over = None, True
                turn = _new_turn(text.partition(";")[0], seen)
                yield VoteRow(turn, "", "", number)
            elif turn is not None:
                yield VoteRow(
                    turn, *rater_vote(text, scale), number, secondary_field(text), _rating(text, scale)
                )
            elif not passed_over:
                passed_over = True
                raise InputError("a rater's line stands before the first turn")
        except InputError as error:
            bad_rows.add(str(error), where=f"{source}:{number}")
        after_blank = False


def _rating(text: str, scale: Scale | None) -> str:
    return "" if scale is None else rating_field(text, scale)


def _new_turn(file_name: str, seen: set[str]) -> str:
    turn = turn_name(file_name)
    if turn in seen:
        raise InputError(f"second block of turn {turn}")
    seen.add(turn)
    return turn


def csv_rows(
    lines: Iterable[str], source: str, bad_rows: BadRows, scale: Scale | None = None
) -> Iterator[VoteRow]:
    """Yield the votes of `labels_detailed.csv`; its header tells the layout.

    Bad rows, by line: cells that do not fit the header, a name of no turn's file, a worker without a primary emotion.
    """
    table = Table(lines, source=source)
    file_name = table.position("FileName")
    vote = _vote_reader(table, scale)
    for line, row in table.rows(bad_rows):
        try:
            turn = turn_name(row[file_name])
            voted = vote(row)
        except InputError as error:
            bad_rows.add(str(error), where=f"{source}:{line}")
            continue
        worker, primary, secondary, rating = voted or ("", "", "", "")
        yield VoteRow(turn, worker, primary, line, secondary, rating)


_Cells = tuple[str, str, str, str]
"""Worker, primary and secondary emotions, and rating."""


def _vote_reader(table: Table, scale: Scale | None) -> Callable[[Sequence[str]], _Cells | None]:
    """A function that reads a row; it returns None where worker and primary emotion are empty."""
    if table.has("EmoDetail"):
        detail = table.position("EmoDetail")

        def in_one_cell(row: Sequence[str]) -> _Cells | None:
            text = row[detail]
            if is_missing(text):
                return None
            return (*rater_vote(text, scale), secondary_field(text), _rating(text, scale))

        return in_one_cell
    primary, worker = table.position(PRIMARY), table.position(*WORKER_COLUMNS)
    secondary = table.position(SECONDARY) if table.has(SECONDARY) else None
    rating = None if scale is None else _rating_column(table, scale)

    def vote(row: Sequence[str]) -> _Cells | None:
        if (
            is_missing(row[worker])
            and is_missing(row[primary])
            and (rating is None or is_missing(row[rating]))
        ):
            return None
        others = "" if secondary is None or is_missing(row[secondary]) else row[secondary]
        rated = "" if rating is None else row[rating]
        return (*check_vote(name_text(row[worker]), row[primary], scale), others, rated)

    return vote


def _rating_column(table: Table, scale: Scale) -> int:
    if not table.has(scale.column):
        missing = f"missing column {scale.column!r}, and target is {scale.name}."
        raise InputError(missing, where=f"{table.source}:1", remedy=NO_RATINGS)
    return table.position(scale.column)


def json_rows(
    lines: Iterable[str], source: str, bad_rows: BadRows, scale: Scale | None = None
) -> Iterator[VoteRow]:
    """Yield the votes of `labels_detailed.json`.

    Bad rows, by the line of their file's name:

    - a name of no turn's file, or one that comes twice;
    - a value that is not an object by worker;
    - a worker without a primary emotion.

    Raises:
        InputError: A row is bad, and `bad_rows` leaves none out.
    """
    seen: set[str] = set()
    for line, name, value in json_entries("".join(lines), source=source, keep=_slim(scale)):
        where = f"{source}:{line}"
        try:
            turn = _new_turn(name, seen)
            if not isinstance(value, Members):
                raise InputError(f"expected an object by worker for turn {turn}")
        except InputError as error:
            bad_rows.add(str(error), where=where)
            continue
        yield VoteRow(turn, "", "", line)
        for worker, judged in value:
            primary, secondary, rating = judged if isinstance(judged, _Judged) else ("", "", "")
            try:
                if not isinstance(judged, _Judged | Members):
                    raise InputError(f"expected an object for {short_repr(worker)}, got {short_repr(judged)}")
                yield VoteRow(turn, *check_vote(worker, primary, scale), line, secondary, rating)
            except InputError as error:
                bad_rows.add(f"turn {turn}: {error}", where=where)


def _slim(scale: Scale | None) -> Callable[[Pairs], object]:
    """A function that reduces a rater's object to what is wanted of it. Equal ones share an object."""
    interned: dict[_Judged, _Judged] = {}

    def keep(pairs: Pairs) -> object:
        named = [value for key, value in pairs if key == PRIMARY]
        rating = _json_rating(pairs, scale)
        if rating and not (len(named) == 1 and isinstance(named[0], str)):
            named = [""]  # a scale needs no emotion
        if len(named) == 1 and isinstance(named[0], str):
            lists = [value for key, value in pairs if key == SECONDARY]
            only = lists[0] if len(lists) == 1 and isinstance(lists[0], str) else ""
            judged = _Judged(named[0], "" if is_missing(only) else only, rating)
            return interned.setdefault(judged, judged)
        return Members(pairs)

    return keep


def _json_rating(pairs: Pairs, scale: Scale | None) -> str:
    """The rating as CSV writes it; two under one key are no rating, whatever the key's case."""
    if scale is None:
        return ""
    name = scale.column.casefold()
    ratings = [value for key, value in pairs if value is not None and key.strip().casefold() == name]
    return " and ".join(
        value
        if isinstance(value, str)
        else repr(value)
        if isinstance(value, int | float)
        else "a list or object"
        for value in ratings
    )


LAYOUTS: Mapping[str, tuple[str, Reader]] = {
    "txt": ("labels.txt", txt_rows),
    "csv": ("labels_detailed.csv", csv_rows),
    "json": ("labels_detailed.json", json_rows),
}
"""Value of option `labels` → its file and reader. The default is the first file on disk."""
