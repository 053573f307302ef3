"""The consensus file of MSP-Podcast: the speaker of each turn and its part of the corpus.

`labels_consensus.csv` (spelt `labels_concensus` up to 1.9) has the columns FileName, EmoClass, SpkrID and Split_Set
among others. `labels_consensus.json` is an object by file with the same names inside. Its emotion is never a label
here. It only serves to check that the votes were read as the corpus's makers read them.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import id_text
from lalm_ambig.corpora.msp_podcast.scales import Scale
from lalm_ambig.corpora.msp_podcast.tables import Members, json_entries
from lalm_ambig.corpora.msp_podcast.turns import CODES, NO_AGREEMENT, OTHER_CODE
from lalm_ambig.corpora.msp_podcast.votes import PRIMARY, turn_name
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import Table, is_missing, name_text
from lalm_ambig.files.json_lines import short_repr
from lalm_ambig.files.text import open_lines

HIDDEN_PART = "Test3"
"""The part whose labels, speakers and transcripts are not published."""
PARTS = ("Train", "Development", "Test1", "Test2", HIDDEN_PART)
_OLD_PARTS = {"validation": "development"}
CONSENSUS_FILES = (
    "labels_consensus.csv",
    "labels_concensus.csv",
    "labels_consensus.json",
    "labels_concensus.json",
)
"""Names of the file over the releases; the first on disk is read."""
_NO_SPEAKER = "unknown"
FILE_NAME, EMOTION, SPEAKER, PART = "FileName", "EmoClass", "SpkrID", "Split_Set"


@dataclass(frozen=True, slots=True)
class ConsensusEntry:
    """Row of one turn in the consensus file."""

    code: str
    """One of CODES, O or X; empty where the label is hidden."""
    speaker: str | None
    part: str
    line: int
    mean: float | None = None
    """Mean rating on the scale that was asked for; None where there is none, NaN for what is no number."""


@dataclass(frozen=True)
class Consensus:
    """Every turn of a consensus file."""

    source: str
    turns: dict[str, ConsensusEntry | None]
    """By name, in the file's order; None for a bad row that was left out."""


def read_consensus(path: Path, *, bad_rows: BadRows, scale: Scale | None = None) -> Consensus:
    """Read the consensus file.

    Args:
        path: A CSV or JSON file.
        bad_rows: Collects names of no turn's file, second rows of a turn, and unknown emotions and parts.
        scale: Reads the mean rating on it, too.

    Returns:
        The entry of every turn.

    Raises:
        InputError: Most rows have the same fault, or one is bad and `bad_rows` leaves none out.
    """
    turns: dict[str, ConsensusEntry | None] = {}
    with bad_rows.reading(path) as reading, open_lines(path, other_letters=True) as file:
        is_json = path.suffix.lower() == ".json"
        source = str(path)
        rows = _json_cells(file, source, scale) if is_json else _csv_cells(file, source, bad_rows, scale)
        for line, file_name, cells in rows:
            where = f"{path}:{line}"
            try:
                name = turn_name(file_name)
                if name in turns:
                    raise InputError(f"second row for turn {name}")
                turns[name] = None
                turns[name] = _about(cells, line, needs_code=scale is None)
            except InputError as error:
                bad_rows.add(str(error), where=where)
        reading.good = sum(about is not None for about in turns.values())
    return Consensus(str(path), turns)


def _csv_cells(
    lines: Iterable[str], source: str, bad_rows: BadRows, scale: Scale | None
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Line, file name, and the cells for emotion, speaker, part and, where there is one, the mean rating."""
    table = Table(lines, source=source)
    file_name = table.position(FILE_NAME)
    wanted = [table.position(EMOTION, PRIMARY), table.position(SPEAKER), table.position(PART)]
    if scale is not None and table.has(scale.column):
        wanted.append(table.position(scale.column))
    for line, row in table.rows(bad_rows):
        yield line, row[file_name], tuple(row[position] for position in wanted)


def _json_cells(
    lines: Iterable[str], source: str, scale: Scale | None
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    for line, name, value in json_entries("".join(lines), source=source):
        members = value if isinstance(value, Members) else Members()
        emotion = EMOTION if any(key == EMOTION for key, _ in members) else PRIMARY
        mean = [] if scale is None else [_number(members, scale.column)]
        yield line, name, (*(_cell(members, key) for key in (emotion, SPEAKER, PART)), *mean)


def _cell(members: Members, key: str) -> str:
    """The cell that CSV holds for a member; empty unless the member is there exactly once."""
    values = [value for name, value in members if name == key]
    return (id_text(values[0]) or "") if len(values) == 1 else ""


def _number(members: Members, key: str) -> str:
    """As `_cell`, also for a fraction."""
    values = [value for name, value in members if name == key]
    return str(values[0]) if len(values) == 1 else ""


def _about(cells: tuple[str, ...], line: int, *, needs_code: bool) -> ConsensusEntry:
    code, speaker, part, *mean = (cell.strip() for cell in cells)
    parts = {name.casefold(): name for name in PARTS}
    place = _OLD_PARTS.get(part.casefold(), part.casefold())
    if place not in parts:
        raise InputError(f"{PART} must be one of {', '.join(PARTS)}, got {short_repr(part)}")
    codes = (*CODES, OTHER_CODE, NO_AGREEMENT)
    if needs_code and code not in codes and parts[place] != HIDDEN_PART:
        raise InputError(f"{EMOTION} must be one of {', '.join(codes)}, got {short_repr(code)}")
    speaker = name_text(speaker)
    return ConsensusEntry(
        code=code if code in codes else "",
        speaker=None if is_missing(speaker) or speaker.casefold() == _NO_SPEAKER else speaker,
        part=parts[place],
        line=line,
        mean=_mean(mean[0]) if mean else None,
    )


def _mean(cell: str) -> float | None:
    if is_missing(cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return math.nan
