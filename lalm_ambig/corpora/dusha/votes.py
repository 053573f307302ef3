"""The votes on each clip of Dusha, counted from its rows: one record per clip, without the control tasks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.dusha.rows import Cells, read_rows
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import is_missing, name_text
from lalm_ambig.files.json_lines import short_repr

CATEGORIES = CategorySet(("angry", "sad", "neutral", "positive"), domain="emotion")
OTHER = len(CATEGORIES)
"""Position of a vote for none of the classes."""
PLACES = {name: place for place, name in enumerate((*CATEGORIES.names, "other"))}
"""Word of `annotator_emo` → position in CATEGORIES, or OTHER."""


@dataclass(slots=True)
class VotedClip:
    """The votes on one clip."""

    id: str
    source: "PartFile"
    line: int
    """Of its first row."""
    audio_path: str
    """As written: relative to the folder of the label file."""
    speaker: str = ""
    """As written; empty where unknown."""
    text: str = ""
    annotators: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """What each of `annotators` chose: a position in CATEGORIES, or OTHER."""

    @property
    def where(self) -> str:
        return f"{self.source.path}:{self.line}"


@dataclass(frozen=True)
class PartFile:
    """A label file, and the part of the corpus that it is of."""

    path: Path
    domain: str
    """crowd or podcast."""
    is_test: bool


@dataclass
class VotedClips:
    """The clips of several label files."""

    clips: dict[str, VotedClip]
    """By id, in the order of their first rows; control tasks are not among them."""
    controls: int
    """Clips that are control tasks."""


def read_votes(files: Iterable[PartFile], *, bad_rows: BadRows) -> VotedClips:
    """Count the votes of all files.

    A clip with a row that has a `golden_emo` is a control task. Its votes check the annotators, who may see it more
    than once, and in both parts.

    Args:
        files: The label files. A clip is in one of them only.
        bad_rows: Collects malformed rows, an annotator's second vote on a clip, clips that two files have, and rows
            that contradict the first one of their clip.

    Raises:
        InputError: A file has no vote, most of its rows have one fault, or one is bad and `bad_rows` leaves none out.
    """
    clips: dict[str, VotedClip] = {}
    controls = set[str]()
    for file in files:
        with bad_rows.reading(file.path) as reading:
            for line, cells in read_rows(file.path, bad_rows):
                try:
                    if is_missing(cells.golden_emo):
                        _count(cells, clips, file=file, line=line, controls=controls)
                    else:
                        controls.add(cells.hash_id)
                except InputError as error:
                    bad_rows.add(str(error), where=f"{file.path}:{line}")
                    continue
                reading.good += 1
            if not reading.good and not reading.kinds:
                raise InputError("no row has a vote", where=str(file.path))
    for control in controls:
        clips.pop(control, None)
    return VotedClips(clips, len(controls))


def _count(
    cells: Cells, clips: dict[str, VotedClip], *, file: PartFile, line: int, controls: set[str]
) -> None:
    """Add the vote of a row.

    Raises:
        InputError: The row contradicts an earlier one, or its label is unknown.
    """
    place = PLACES.get(cells.annotator_emo)
    if place is None and (place := PLACES.get(cells.annotator_emo.casefold())) is None:
        expected = ", ".join(PLACES)
        raise InputError(f"annotator_emo must be one of {expected}, got {short_repr(cells.annotator_emo)}")
    clip = clips.get(cells.hash_id)
    if clip is None:
        _check_path(cells.audio_path)
        clip = VotedClip(cells.hash_id, file, line, cells.audio_path)
    elif clip.source is not file:
        if cells.hash_id in controls:
            return
        raise InputError(f"clip {short_repr(cells.hash_id)} is in another part, too: {clip.where}")
    annotator = intern(name_text(cells.annotator_id))
    if annotator in clip.annotators:
        raise InputError(f"second vote of annotator {short_repr(annotator)} on clip {short_repr(clip.id)}")
    speaker = "" if is_missing(cells.source_id) else intern(name_text(cells.source_id))
    text = "" if is_missing(cells.speaker_text) else cells.speaker_text
    _check_same("audio_path", clip.audio_path, cells.audio_path, clip)
    _check_same("source_id", clip.speaker, speaker, clip)
    _check_same("speaker_text", clip.text, text, clip)
    clip.speaker, clip.text = clip.speaker or speaker, clip.text or text
    clip.annotators.append(annotator)
    clip.places.append(place)
    clips[clip.id] = clip


def _check_path(path: str) -> None:
    """Check that a path stays below the folder that it is relative to.

    Raises:
        InputError: It may not.
    """
    parts = path.split("/")
    if ".." in parts or not parts[0] or not parts[-1] or "\\" in path or ":" in parts[0]:
        wrong = "a path below the folder of the part, such as wavs/NAME.wav"
        raise InputError(f"audio_path must be {wrong}, got {short_repr(path)}")


def _check_same(column: str, first: str, value: str, clip: VotedClip) -> None:
    """Check that a row says of its clip what earlier ones said; an empty cell says nothing.

    Raises:
        InputError: It says something else.
    """
    if first and value and first != value:
        both = f"{short_repr(value)}, and an earlier row {short_repr(first)}"
        raise InputError(f"{column} of clip {short_repr(clip.id)} is {both}")
