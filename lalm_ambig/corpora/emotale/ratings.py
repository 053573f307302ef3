"""The table of EmoTale: one row per clip, with four columns per rater.

    file,a1_A,a1_V,a1_D,a1_cat,a2_A,a2_V,a2_D,a2_cat,a3_A,a3_V,a3_D,a3_cat,gt_emotion
    EN_001_A_1.wav,4.0,1.5,4.5,A,4.0,2.5,5.0,A,5.0,1.0,4.5,H,A

A clip's name is language, speaker, acted emotion and sentence. `gt_emotion` repeats the acted emotion, which is never
a label: it only serves to find rows that have slipped. The corpus's readme says two raters; the file has three.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import NumberedRow, Table, open_table
from lalm_ambig.files.json_lines import short_repr

RATINGS_FILE = "annotations.csv"
AUDIO_FOLDER = "wav"
RATERS = ("a1", "a2", "a3")
"""Beginnings of the raters' columns."""
FILE_COLUMN, ACTED_COLUMN = "file", "gt_emotion"
LANGUAGES: Mapping[str, str] = {"en": "EN", "da": "DK"}
"""Value of the option `language` → the beginning of clips' names."""
EMOTION = "emotion"
EMOTION_CODES = ("A", "B", "H", "N", "S")
"""The raters' codes, in the order of EMOTIONS."""
EMOTIONS = CategorySet(("anger", "boredom", "happiness", "neutral", "sadness"))
BOREDOM = EMOTIONS.names.index("boredom")
STEPS = ("1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5")
"""The steps of the scales, from the lowest."""
STEP_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""The word for each of STEPS in prompts and answers: a class is read by its first token, and 1 and 1.5 share theirs."""
SCALES: Mapping[str, str] = {"arousal": "A", "valence": "V", "dominance": "D"}
"""Value of the option `target` → end of the raters' columns."""
CLIP_NAME = re.compile(r"(EN|DK)_(\d{3})_([ABHNS])_(\d+)", re.ASCII)
NUMBER = re.compile(r"\d(?:\.\d*)?", re.ASCII)


@dataclass(frozen=True)
class RatedClip:
    """The labels of one clip."""

    clip: str
    """Name of the sound file without its ending."""
    labels: tuple[int, ...]
    """What each of RATERS chose: a position in EMOTIONS, or in STEPS."""

    @property
    def language(self) -> str:
        """The beginning of its name, a value of LANGUAGES."""
        return self.clip[:2]

    @property
    def speaker(self) -> str:
        """Number of the speaker, who may speak both languages."""
        return self.clip.split("_")[1]


def classes_of(target: str) -> CategorySet:
    """The classes of a target: EMOTIONS, or the nine ordered steps of a scale.

    Args:
        target: `emotion` or a key of SCALES.
    """
    if target == EMOTION:
        return EMOTIONS
    return CategorySet(STEPS, tuple(f" {word}" for word in STEP_WORDS), STEP_WORDS, target, ordered=True)


def read_ratings(path: Path, target: str, *, bad_rows: BadRows) -> list[RatedClip]:
    """Read the labels of every clip, in the file's order.

    Args:
        path: The table.
        target: `emotion` or a key of SCALES.
        bad_rows: Collects malformed rows and second rows of a clip.

    Raises:
        InputError: A column is missing or there twice, or a row is bad and `bad_rows` leaves none out.
    """
    clips: dict[str, RatedClip] = {}
    ending = "cat" if target == EMOTION else SCALES[target]
    with bad_rows.reading(path) as reading, open_table(path) as table:
        columns = _positions(table, [FILE_COLUMN, ACTED_COLUMN, *(f"{rater}_{ending}" for rater in RATERS)])
        for line, row in table.rows(bad_rows):
            try:
                rated = _rated_clip((line, row), columns, target)
                if rated.clip in clips:
                    raise InputError(f"second row for clip {rated.clip}")
            except InputError as error:
                bad_rows.add(str(error), where=f"{path}:{line}")
                continue
            clips[rated.clip] = rated
        reading.good = len(clips)
        if not clips and not reading.kinds:
            raise InputError("no row has labels", where=str(path))
    return list(clips.values())


def _positions(table: Table, names: Sequence[str]) -> dict[str, int]:
    return {name: table.position(name) for name in names}


def _rated_clip(numbered: NumberedRow, columns: Mapping[str, int], target: str) -> RatedClip:
    """The labels of a row.

    Raises:
        InputError: The clip's name or a label is none, or the acted emotion is not that of the name.
    """
    cells = {name: numbered[1][place].strip() for name, place in columns.items()}
    clip = cells.pop(FILE_COLUMN).removesuffix(".wav")
    match = CLIP_NAME.fullmatch(clip)
    if match is None:
        raise InputError(
            f"{short_repr(clip)} is no clip's name: expected language_speaker_emotion_sentence, as EN_001_A_1.wav"
        )
    acted = cells.pop(ACTED_COLUMN)
    if acted != match[3]:
        raise InputError(f"{ACTED_COLUMN} is {short_repr(acted)}, but clip {clip} is acted as {match[3]!r}")
    read = _emotion if target == EMOTION else _step
    return RatedClip(clip, tuple(read(column, cell) for column, cell in cells.items()))


def _emotion(column: str, cell: str) -> int:
    if cell not in EMOTION_CODES:
        expected = ", ".join(EMOTION_CODES)
        raise InputError(f"column {column!r} must be one of {expected}, got {short_repr(cell)}")
    return EMOTION_CODES.index(cell)


def _step(column: str, cell: str) -> int:
    step = f"{float(cell):g}" if NUMBER.fullmatch(cell) else ""
    if step not in STEPS:
        raise InputError(f"column {column!r} must be 1 to 5 in steps of 0.5, got {short_repr(cell)}")
    return STEPS.index(step)
