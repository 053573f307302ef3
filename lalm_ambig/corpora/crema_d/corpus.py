"""CREMA-D: 91 actors say 12 sentences in six emotions; crowds judged the voice, the face, or both.

Read as distributed: `processedResults/tabulatedVotes.csv` for the votes, `AudioWAV/*.wav` for the clips. Any subset of
the clips may be on disk. A clip's name holds the emotion that the actor was asked for, which is never its label.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.crema_d.votes import (
    ACTORS,
    AUDIO_FOLDER,
    CATEGORIES,
    MODALITY_DIGITS,
    VOTES_FILE,
    Ballot,
    current_name,
    read_ballots,
)
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure
from lalm_ambig.corpora.reading.splits import split_by_group


@dataclass(kw_only=True, eq=False)
class CremaD(Corpus):
    """The clips on disk that have votes, split by actor over all 91, so that a subset keeps the full corpus's split.

    Args:
        root: The folder that holds AudioWAV and processedResults.
        seed: Seed of the split by actor.
        fold: None for 70/10/20, or 0 to 4 for one of five folds with disjoint actors.
        votes: The stimulus that the judges were given: voice, face or audio_visual.
        allow_outside: Accept sound that is not in the root, but that a link in it leads to.

    Raises:
        InputError: `votes` is none of these.
    """

    votes: str = "voice"
    allow_outside: bool = False

    name = "crema_d"
    how_to_obtain = (
        "CREMA-D (ODbL 1.0) is at github.com/CheyneyComputerScience/CREMA-D: clone it with Git LFS and give "
        "the folder that holds AudioWAV and processedResults."
    )
    prompt = "speech_emotion"
    usual_target = "voice"
    total_items: ClassVar[int | None] = 7442

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.votes not in MODALITY_DIGITS:
            wrong = f"votes must be one of {', '.join(MODALITY_DIGITS)}, got {self.votes!r}"
            raise InputError(wrong, where=f"corpus {self.name}")

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    @property
    def target_name(self) -> str:
        """The panel: who heard the voice, saw the face, or both."""
        return self.votes

    def label_files(self) -> Sequence[Path]:
        self.require(self.root)
        return [self.require(self.root / VOTES_FILE)]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "votes": self.votes, "allow_outside": self.allow_outside}

    def ballots(self, bad_rows: BadRows | None = None) -> list[Ballot]:
        """The votes of every clip, on disk or not.

        Args:
            bad_rows: Collects malformed rows; None handles them as `skip_bad_rows` says.
        """
        [path] = self.label_files()
        return read_ballots(path, self.votes, bad_rows=bad_rows or BadRows(skip=self.skip_bad_rows))

    def read(self) -> Iterator[Item]:
        """Yield the clips that have both votes and a sound file.

        Raises:
            InputError: There is no such clip, or a row is malformed and `skip_bad_rows` is off.
        """
        bad_rows = BadRows(skip=self.skip_bad_rows)
        ballots = self.ballots(bad_rows)
        clips = self._clips_on_disk()
        present = [ballot for ballot in ballots if ballot.clip in clips]
        if not present:
            raise InputError(
                f"none of the {len(ballots):,} clips that have votes is in {self.root / AUDIO_FOLDER}.",
                where=f"corpus {self.name}",
                remedy=self.how_to_obtain,
            )
        self._notes = _notes(present=len(present), voted=len(ballots), on_disk=len(clips), bad_rows=bad_rows)
        splits = split_by_group(ACTORS, seed=self.seed, fold=self.fold)
        for ballot in present:
            yield Item(
                id=ballot.clip,
                votes=ballot.votes,
                audio=clips[ballot.clip],
                text=ballot.transcript,
                speaker=ballot.actor,
                split=splits[ballot.actor],
            )

    def _clips_on_disk(self) -> dict[str, str]:
        """Path of every clip in AudioWAV, by its present name. A file with the present name is preferred."""
        enclosure = Enclosure(self.root, allow_outside=self.allow_outside)
        paths = enclosure.sounds(self.require(self.root / AUDIO_FOLDER), where=f"corpus {self.name}")
        return {current_name(clip): paths.get(current_name(clip), path) for clip, path in paths.items()}


def _notes(*, present: int, voted: int, on_disk: int, bad_rows: BadRows) -> tuple[str, ...]:
    notes = [f"{present:,} of {CremaD.total_items:,} clips found"]
    if on_disk > present:
        notes.append(f"{on_disk - present:,} sound files have no row of votes: left out")
    return (*notes, *bad_rows.notes(good=voted))
