"""Counts over one reading of Dusha, and the notes for the user."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass
class DushaTally:
    """Counts over one reading of Dusha."""

    files: Sequence[str]
    """Names of the label files."""
    clips: int
    """Clips with votes that are no control tasks."""
    controls: int
    items: int = 0
    with_other: int = 0
    """Clips left out for a vote for `other`."""
    dropped: int = 0
    """Votes for `other` that were dropped."""
    only_other: int = 0
    """Clips left out because all their votes were dropped."""
    without_sound: list[str] = field(default_factory=list)
    sounds_without_votes: int = 0
    unknown_speaker: int = 0
    """Items of a train part without a speaker."""
    without_text: int = 0
    shared_speakers: int = 0
    """Speakers of train parts who are also in test parts."""

    def notes(self) -> Iterator[str]:
        """Lines for the user, without those that count nothing."""
        yield f"{self.items:,} items of {self.clips:,} clips (votes from {', '.join(self.files)})"
        first = f" (the first: {self.without_sound[0]})" if self.without_sound else ""
        counts = [
            (self.controls, "clips are control tasks (golden_emo): left out"),
            (
                self.with_other,
                "clips have a vote for other: left out (option other=ignore drops such votes instead)",
            ),
            (self.dropped, "votes for other dropped"),
            (self.only_other, "clips have votes for other alone: left out"),
            (len(self.without_sound), f"clips have no sound file: left out{first}"),
            (self.sounds_without_votes, "sound files are of control tasks, or have no votes: left out"),
            (
                self.unknown_speaker,
                "items of a train part have no speaker (source_id): they are for training, and validate nothing",
            ),
            (
                self.shared_speakers,
                "speakers of a train part are in a test part, too: the split is the corpus's own",
            ),
            (self.without_text, "items have no transcript"),
        ]
        yield from (f"{count:,} {what}" for count, what in counts if count)
