"""The label files of IEMOCAP: turns, their consensus code, the tags of every rater.

`dialog/EmoEvaluation/DIALOGUE.txt` has one block per turn: a header, then one line per rater. The times are seconds,
the last bracket the means of valence, activation and dominance:

    [12.4000 - 14.9000]	Ses01F_impro01_M003	sad	[2.0000, 2.5000, 2.0000]
    C-E2:	Sadness; Frustration;	(tired; gives up)
    C-F1:	Neutral;	()
    A-E2:	val 2; act 2; dom  ;	()

`C` lines hold labels and `A` lines attributes, which are not read. A rater `E` is an evaluator. `F` and `M` are the
actors on themselves, whose opinion is left out. `Categorical/` beside the files repeats the `C` lines.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.iemocap.votes import CLASS_CODES, OTHER_CODES
from lalm_ambig.corpora.reading.bad_rows import BadRows

DIALOGUE_NAME = re.compile(r"Ses0([1-5])[MF]_(?:impro|script)0[1-9][ab]?(?:_\db?)?", re.ASCII)
_TURN_ENDING = re.compile(r"_[MF][X\d]{2}\d", re.ASCII)
_HEADER = re.compile(
    r"\[(\d+\.\d+)\s*-\s*(\d+\.\d+)\]\s+(\S+)\s+(\w+)\s+\[\d+\.\d+(?:\s*,\s*\d+\.\d+){2}\]", re.ASCII
)
_RATER_LINE = re.compile(r"([CA])-([EFM]\d+)\s*:(.*)", re.ASCII)
_TRANSCRIPT_LINE = re.compile(r"(\S+)\s*\[\d+\.\d+\s*-\s*\d+\.\d+\]\s*:(.*)", re.ASCII)
_SHOWN = 60
"""Characters of a bad line that are shown."""


@dataclass(frozen=True)
class RatedTurn:
    """One turn with the tags of its evaluators."""

    name: str
    code: str
    """Consensus of the evaluators as in the header, never computed from the votes."""
    tags: tuple[tuple[str, ...], ...]
    """Tags of each evaluator in lower case, in the file's order; empty for one who gave none."""
    where: str
    """File and line of the header."""

    @property
    def speaker(self) -> str:
        """Session and sex of the speaker: 01M for `Ses01F_impro01_M003`. The F says who wore the markers."""
        return self.name[3:5] + self.name[-4]


def parse_turns(text: str, dialogue: str, *, source: str, bad_rows: BadRows) -> list[RatedTurn]:
    """Parse the turns of a label file, each with at least one evaluator's line.

    Bad rows, by line: a header that cannot be read (its block is dropped), of another dialogue, that ends before it
    starts, or that comes twice; a line of no known kind; a second line of one rater; a turn that no evaluator rated.

    Args:
        text: Content of the file.
        dialogue: Its name, with which every turn's name begins.
        source: Name of the file in errors.
        bad_rows: Collects what cannot be read.

    Returns:
        The turns, in the file's order.

    Raises:
        InputError: A row is bad, and `bad_rows` leaves none out.
    """
    turns: dict[str, RatedTurn] = {}
    for (number, header), *lines in _blocks(text, source, bad_rows):
        where = f"{source}:{number}"
        try:
            name, code = _header(header, dialogue)
            if name in turns:
                raise InputError(f"second block of turn {name}")
        except InputError as error:
            bad_rows.add(str(error), where=where)
            continue
        tags = _tags_by_rater(lines, source, bad_rows)
        if tags:
            turns[name] = RatedTurn(name, code, tuple(tags.values()), where)
        else:
            bad_rows.add(f"turn {name} has no line of an evaluator (C-E…)", where=where)
    return list(turns.values())


def parse_transcripts(text: str, dialogue: str, *, source: str, bad_rows: BadRows) -> dict[str, str]:
    """Parse the transcripts of a dialogue.

    Lines that name no turn are skipped, and so are `XX` turns, which nobody rated.

    Args:
        text: Content of the file.
        dialogue: Its name, with which every turn's name begins.
        source: Name of the file in errors.
        bad_rows: Collects what cannot be read.

    Returns:
        Turn → its words as written, `[LAUGHTER]` and the like included.

    Raises:
        InputError: A line is malformed or its turn comes twice, and `bad_rows` leaves none out.
    """
    transcripts: dict[str, str] = {}
    for number, line in _numbered(text):
        if not line.startswith("Ses") or "XX" in line.split()[0]:
            continue
        try:
            match = _TRANSCRIPT_LINE.fullmatch(line)
            if match is None:
                raise InputError(f"expected `TURN [start-end]: words`, got {_shown(line)}")
            name = _turn_of(dialogue, match[1])
            if name in transcripts:
                raise InputError(f"second transcript of turn {name}")
        except InputError as error:
            bad_rows.add(str(error), where=f"{source}:{number}")
            continue
        transcripts[name] = match[2].strip()
    return transcripts


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """Number and stripped content of every line that is not blank."""
    lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), start=1))
    return ((number, line) for number, line in lines if line)


def _blocks(text: str, source: str, bad_rows: BadRows) -> list[list[tuple[int, str]]]:
    """The numbered lines of each turn, its header first."""
    blocks: list[list[tuple[int, str]]] = []
    for number, line in _numbered(text):
        if line.startswith("%"):
            continue
        if line.startswith("["):
            blocks.append([(number, line)])
        elif blocks:
            blocks[-1].append((number, line))
        else:
            bad_rows.add(f"{_shown(line)} stands before the first turn", where=f"{source}:{number}")
    return blocks


def _header(line: str, dialogue: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(line)
    if match is None:
        raise InputError(f"expected `[start - end] TURN code [V, A, D]`, got {_shown(line)}")
    start, end, name, code = match.groups()
    if float(start) >= float(end):
        raise InputError(f"turn {name} starts at {start} s, not before its end at {end} s")
    if code not in CLASS_CODES + OTHER_CODES:
        raise InputError(f"unknown code {code!r}: expected one of {', '.join(CLASS_CODES + OTHER_CODES)}")
    return _turn_of(dialogue, name), code


def _turn_of(dialogue: str, name: str) -> str:
    """Return `name`, if it is a turn of the dialogue.

    Raises:
        InputError: It is none.
    """
    if not name.startswith(dialogue) or not _TURN_ENDING.fullmatch(name.removeprefix(dialogue)):
        raise InputError(f"{_shown(name)} is no turn of {dialogue}")
    return name


def _tags_by_rater(
    lines: Iterable[tuple[int, str]], source: str, bad_rows: BadRows
) -> dict[str, tuple[str, ...]]:
    """Tags of each evaluator of one turn, in the file's order, without self-reports and attributes."""
    tags_by_rater: dict[str, tuple[str, ...]] = {}
    for number, line in lines:
        match = _RATER_LINE.fullmatch(line)
        if match is None:
            what = f"neither the header of a turn nor a line of a rater: {_shown(line)}"
            bad_rows.add(what, where=f"{source}:{number}")
            continue
        kind, rater, rest = match.groups()
        if kind == "A" or not rater.startswith("E"):
            continue
        if rater in tags_by_rater:
            bad_rows.add(f"second line of labels by rater {rater} in one turn", where=f"{source}:{number}")
            continue
        tags_by_rater[rater] = _tags(rest)
    return tags_by_rater


def _tags(text: str) -> tuple[str, ...]:
    """The tags before the comment, in lower case with single blanks, each once."""
    words = (" ".join(tag.lower().split()) for tag in text.partition("(")[0].split(";"))
    return tuple(dict.fromkeys(word for word in words if word))


def _shown(line: str) -> str:
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…")
