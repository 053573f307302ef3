"""Emozionalmente: Italian sentences that amateurs acted; about five people recognised one of seven emotions in each.

Read is `metadata/evaluations.csv`, one row per vote, with the columns

    file_name,evaluator,audio_quality,emotion_recognized

`audio_quality` is not read. **This reader was written from these column names alone: nobody has run it on the real
files.** What it does not know it does not guess:

1. The sound of a clip is the one file of that name anywhere below the root.
2. No column names the speaker. A split by clip would put a speaker into training and test, so all items are tested.
3. A label is one of the seven emotions in English or Italian, in any spelling of `core/class_names.py`; others are
   refused.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lalm_ambig.audio.inspection import SOUND_ENDINGS
from lalm_ambig.core.categories import CategorySet, canonical_key
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.files.csv import is_missing, name_text, open_table
from lalm_ambig.files.json_lines import short_repr

VOTES_FILE = Path("metadata", "evaluations.csv")
FILE_COLUMN, EVALUATOR_COLUMN, LABEL_COLUMN = "file_name", "evaluator", "emotion_recognized"
CATEGORIES = CategorySet(("anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise"))


@dataclass
class VotedClip:
    """The votes on one clip."""

    clip: str
    """Name of the sound file without its ending."""
    votes: dict[str, int] = field(default_factory=dict)
    """Evaluator → position of the emotion in CATEGORIES."""


@dataclass(kw_only=True, eq=False)
class Emozionalmente(Corpus):
    """The clips that have both votes and a sound file. All are test items.

    Args:
        root: The folder that holds metadata and, in any folder below it, the sound.
        seed: Changes nothing: all items are tested.
        fold: None; all items are tested.
        allow_outside: Accept sound that is not in the root, but that a link in it leads to.

    Raises:
        InputError: A fold is asked for.
    """

    allow_outside: bool = False

    name = "emozionalmente"
    how_to_obtain = (
        "Emozionalmente (CC BY) is distributed by its authors: unpack it and give the folder that holds "
        f"{VOTES_FILE} and the sound."
    )
    prompt = "speech_emotion"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fold is not None:
            wrong = f"fold must be null, got {self.fold}: all items are tested"
            raise InputError(wrong, where=f"corpus {self.name}")

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    @property
    def draws_splits(self) -> bool:
        """False: all items are tested."""
        return False

    @property
    def no_items_remedy(self) -> str:
        return (
            f"Train on another corpus, and evaluate that run here (evaluate --run RUN --corpus {self.name}): no "
            "speakers are known, so that a split would share them"
        )

    def label_files(self) -> Sequence[Path]:
        self.require(self.root)
        return [self.require(self.root / VOTES_FILE)]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "allow_outside": self.allow_outside}

    def read(self) -> Iterator[Item]:
        """Yield the clips, in the order of their first votes.

        Raises:
            InputError: No clip has votes and sound, two sound files have one name, or a row is malformed and
                `skip_bad_rows` is off.
        """
        bad_rows = BadRows(skip=self.skip_bad_rows)
        [path] = self.label_files()
        voted = read_votes(path, bad_rows=bad_rows)
        sounds = self._sounds()
        present = [one for one in voted if one.clip in sounds]
        if not present:
            raise InputError(
                f"none of the {len(voted):,} clips that have votes has a sound file below {self.root}.",
                where=f"corpus {self.name}",
                remedy=self.how_to_obtain,
            )
        self._notes = (
            f"{len(present):,} of {len(voted):,} clips with votes found",
            "no speakers are known: all items are in the test split, and intervals are over items",
            *bad_rows.notes(good=sum(len(one.votes) for one in voted)),
        )
        for one in present:
            counts = Counter(one.votes.values())
            yield Item(
                id=one.clip,
                votes=tuple(float(counts[place]) for place in range(len(CATEGORIES))),
                audio=sounds[one.clip],
                split="test",
                annotators=tuple(one.votes),
                annotations=tuple(one.votes.values()),
            )

    def _sounds(self) -> Mapping[str, str]:
        """Path of every sound file below the root, by its name without the ending."""
        enclosure, paths = Enclosure(self.root, allow_outside=self.allow_outside), dict[str, str]()
        where, walked = f"corpus {self.name}", set[str]()
        for folder, below, _ in os.walk(self.root, followlinks=True):
            if (real := os.path.realpath(folder)) in walked:  # a link to a folder above, or to one beside
                below.clear()
                continue
            walked.add(real)
            below.sort()
            for stem, path in enclosure.sounds(Path(folder), where=where).items():
                if stem in paths:
                    wrong = f"two sound files for {stem}: {paths[stem]} and {path}."
                    raise InputError(wrong, where=where, remedy="Move one of them out of the root.")
                paths[stem] = path
        return paths


def read_votes(path: Path, *, bad_rows: BadRows) -> list[VotedClip]:
    """The votes of every clip, in the order of their first rows.

    Args:
        path: The table.
        bad_rows: Collects rows without a clip, an evaluator or one of the emotions, and second votes of an evaluator.

    Raises:
        InputError: A column is missing or there twice, or a row is bad and `bad_rows` leaves none out.
    """
    clips: dict[str, VotedClip] = {}
    with bad_rows.reading(path) as reading, open_table(path) as table:
        places = [table.position(name) for name in (FILE_COLUMN, EVALUATOR_COLUMN, LABEL_COLUMN)]
        for line, row in table.rows(bad_rows):
            try:
                _count([row[place].strip() for place in places], clips)
            except InputError as error:
                bad_rows.add(str(error), where=f"{path}:{line}")
                continue
            reading.good += 1
        if not clips and not reading.kinds:
            raise InputError("no row has a vote", where=str(path))
    return list(clips.values())


def _count(cells: Sequence[str], clips: dict[str, VotedClip]) -> None:
    """Add the vote of a row.

    Raises:
        InputError: The row is malformed.
    """
    file_name, evaluator, label = cells
    evaluator = name_text(evaluator)
    for column, cell in zip((FILE_COLUMN, EVALUATOR_COLUMN, LABEL_COLUMN), cells, strict=True):
        if is_missing(cell):
            raise InputError(f"column {column!r} is empty")
    if "/" in file_name or "\\" in file_name:
        raise InputError(
            f"column {FILE_COLUMN!r} must hold a file's name without folders, got {short_repr(file_name)}"
        )
    key = canonical_key(label)
    if key not in CATEGORIES.keys:
        expected = ", ".join(CATEGORIES.names)
        raise InputError(f"column {LABEL_COLUMN!r} must be one of {expected}, got {short_repr(label)}")
    stem, dot, ending = file_name.rpartition(".")
    clip = stem if dot and f".{ending.lower()}" in SOUND_ENDINGS else file_name
    votes = clips.get(clip, VotedClip(clip)).votes
    if evaluator in votes:
        raise InputError(f"second vote of evaluator {short_repr(evaluator)} on {short_repr(file_name)}")
    clips.setdefault(clip, VotedClip(clip)).votes[evaluator] = CATEGORIES.keys.index(key)
