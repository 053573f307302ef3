"""Joins the two label files of MSP-Podcast, and counts over one reading for the user's notes."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from lalm_ambig.corpora.msp_podcast.consensus import HIDDEN_PART, Consensus, ConsensusEntry
from lalm_ambig.corpora.msp_podcast.scales import ROUNDING, Scale
from lalm_ambig.corpora.msp_podcast.secondary import CATEGORIES
from lalm_ambig.corpora.msp_podcast.turns import Sharing, VotedTurn, Votes
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.json_lines import short_repr

SHOWN_WORDS = 5
SPLITS_EXPLAINED = {
    "papers": "five even folds by item (SHALA-LLM), so that a speaker is in several splits",
    "official": "the corpus's own: Train, Development, Test1",
}


@dataclass(frozen=True, slots=True)
class LabelledTurn:
    """A turn that has votes, joined from both label files."""

    voted: VotedTurn
    speaker: str | None
    """None where unknown."""
    part: str
    """One of PARTS; empty without a consensus file."""
    where: str
    """File and line of its votes."""

    @property
    def name(self) -> str:
        """Name of its sound file without the ending."""
        return self.voted.name


@dataclass
class MspPodcastTally:
    """Counts over one reading of MSP-Podcast."""

    votes_from: str
    speakers_from: str | None
    split: str
    turns: int
    """Turns in the label file."""
    sounds_without_votes: int
    """Sound files that are not in the label file."""
    unknown_words: Counter[str]
    sharing: Sharing | None = None
    """What was met among the secondary emotions; None where they are not counted."""
    scale: Scale | None = None
    """The scale whose ratings are the votes; None where emotions are."""
    items: int = 0
    hidden: int = 0
    """Turns of Test3 without votes."""
    outside: int = 0
    """Turns left out because one of their votes is for none of the classes."""
    unrated: int = 0
    """Raters without a rating on the scale."""
    unrated_turns: int = 0
    """Turns left out because none of their raters has a rating on the scale."""
    other_part: int = 0
    """Turns left out because the official split does not use their part."""
    without_sound: list[str] = field(default_factory=list)
    """Turns whose sound the release lacks."""
    without_transcript: int = 0
    without_speaker: int = 0
    other_consensus: list[str] = field(default_factory=list)
    """Turns whose consensus is not the plurality of their votes, or whose mean is not that of their ratings."""

    def notes(self) -> list[str]:
        """Lines for the user, without those that count nothing."""
        speakers = self.speakers_from or "nowhere, as there is no labels_consensus file"
        counts = [
            (
                self.outside,
                f"turns have a vote for something other than {', '.join(CATEGORIES.names)}: left out",
            ),
            (
                self.unknown_words.total(),
                f"votes are a word that is no class, taken as Other: {_words(self.unknown_words)}",
            ),
            (self.unrated, f"ratings of {self._target()} are missing: these raters do not count"),
            (self.unrated_turns, f"turns have no rating of {self._target()}: left out"),
            (self.other_part, "turns of Test2 and Test3 left out"),
            (self.hidden, f"turns of {HIDDEN_PART} have no votes: left out"),
            (
                self.sounds_without_votes,
                f"sound files are not in {self.votes_from} (as those of {HIDDEN_PART}): left out",
            ),
            (
                len(self.without_sound),
                f"turns have no sound in release 2.0, left out: {', '.join(self.without_sound)}",
            ),
            (self.without_transcript, "items have no transcript"),
            (self.without_speaker, "items have no known speaker"),
            (len(self.other_consensus), self._consensus()),
        ]
        return [
            f"{self.items:,} items of {self.turns:,} turns (votes from {self.votes_from}, speakers from {speakers})",
            f"split: {SPLITS_EXPLAINED[self.split]}",
            *self._shared(),
            *(f"{count:,} {what}" for count, what in counts if count),
        ]

    def _target(self) -> str:
        return "emotion" if self.scale is None else self.scale.name

    def _shared(self) -> Iterator[str]:
        """Lines on secondary emotions, of all turns in the label file."""
        if (sharing := self.sharing) is None:
            return
        yield (
            f"votes: the primary and secondary emotions of a rater share one vote; {sharing.shared:,} votes have "
            "several classes, so that votes are no draws and nothing that needs draws is computed"
        )
        if total := sharing.not_counted.total():
            yield f"{total:,} secondary emotions are no class, not counted: {_words(sharing.not_counted)}"
        if sharing.unreadable:
            yield (
                f"{sharing.unreadable:,} lists of secondary emotions cannot be told from free text with a semicolon: "
                "the primary emotion has the vote"
            )

    def _consensus(self) -> str:
        first = f" (the first: {self.other_consensus[0]})" if self.other_consensus else ""
        if self.scale is not None:
            other = f"turns have another mean {self.scale.name} in {self.speakers_from} than their ratings"
            return f"{other}{first}: the ratings count"
        return f"turns have another consensus than most of their votes{first}: the votes count"


def _words(words: Counter[str]) -> str:
    return ", ".join(f"{short_repr(word)} {n:,}" for word, n in words.most_common(SHOWN_WORDS))


def join_labels(
    votes: Votes, consensus: Consensus | None, *, bad_rows: BadRows, tally: MspPodcastTally
) -> Iterator[LabelledTurn]:
    """Join votes and consensus, and yield every turn that has votes, by name.

    Both files must have the same turns. A turn of Test3 may lack votes, and is counted. Any other turn that only one
    file has is a bad row.

    Args:
        votes: Of the label file.
        consensus: Of the consensus file; None where there is none.
        bad_rows: Collects turns that only one file has.
        tally: Counts hidden turns, and turns with another consensus.
    """
    for name, turn in sorted(votes.turns.items()):
        where = f"{votes.source}:{turn.line}"
        about = None if consensus is None else consensus.turns.get(name)
        if consensus is not None and name not in consensus.turns:
            bad_rows.add(f"turn {name} has no row in {consensus.source}", where=where)
        elif consensus is not None and about is None:
            continue  # its row in the consensus file is a bad one, which was told
        elif not any(turn.votes) and turn.unrated:
            tally.unrated_turns += 1
        elif not any(turn.votes):
            _without_votes(name, about, where=where, bad_rows=bad_rows, tally=tally)
        else:
            tally.unrated += turn.unrated
            yield _labelled(turn, about, where=where, tally=tally)
    if consensus is not None:
        for name, about in consensus.turns.items():
            if about is not None and name not in votes.turns:
                where = f"{consensus.source}:{about.line}"
                _without_votes(name, about, where=where, bad_rows=bad_rows, tally=tally)


def _labelled(
    turn: VotedTurn, about: ConsensusEntry | None, *, where: str, tally: MspPodcastTally
) -> LabelledTurn:
    speaker, part = (None, "") if about is None else (about.speaker, about.part)
    if about is not None and not _agree(turn, about, tally.scale):
        tally.other_consensus.append(turn.name)
    return LabelledTurn(turn, speaker, part, where)


def _agree(turn: VotedTurn, about: ConsensusEntry, scale: Scale | None) -> bool:
    """Whether the consensus is what the votes lead to; True where there is none."""
    if scale is None:
        return about.code in ("", turn.plurality)
    return about.mean is None or abs(about.mean - turn.mean_step) <= ROUNDING + 1e-9


def _without_votes(
    name: str, about: ConsensusEntry | None, *, where: str, bad_rows: BadRows, tally: MspPodcastTally
) -> None:
    if about is not None and about.part == HIDDEN_PART:
        tally.hidden += 1
    else:
        bad_rows.add(f"turn {name} has no votes", where=where)
