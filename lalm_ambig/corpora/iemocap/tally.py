"""Counts over one reading of IEMOCAP, and the notes for the user."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lalm_ambig.corpora.iemocap.labels import RatedTurn
from lalm_ambig.corpora.iemocap.votes import CATEGORIES, CLASS_CODES, CLASS_OF_TAG, OTHER_TAGS

TOTAL_ITEMS = 5531
"""Turns of the whole corpus whose code is in CLASS_CODES."""
TOTAL_DIALOGUES = 151


@dataclass
class IemocapTally:
    """Counts over one reading of IEMOCAP."""

    dialogues: int
    turns: int = 0
    other_codes: int = 0
    """Turns left out for their code."""
    without_vote: int = 0
    """Turns left out because none of their votes is for one of the classes."""
    without_sound: list[str] = field(default_factory=list)
    without_label: list[str] = field(default_factory=list)
    other_tags: Counter[str] = field(default_factory=Counter)
    """Tags of the items that are votes for other labels."""
    unknown_tags: Counter[str] = field(default_factory=Counter)
    """Tags of all turns that are not labels of the corpus."""

    def count_turn(self, turn: RatedTurn) -> None:
        self.turns += 1
        tags = (tag for tags in turn.tags for tag in tags)
        self.unknown_tags.update(tag for tag in tags if tag not in CLASS_OF_TAG and tag not in OTHER_TAGS)

    def count_item(self, turn: RatedTurn) -> None:
        self.other_tags.update(tag for tags in turn.tags for tag in tags if tag in OTHER_TAGS)

    def set_unlabelled_sounds(self, names: Iterable[str]) -> None:
        self.without_label = sorted(names)

    def notes(self, keep: str, *, items: int) -> list[str]:
        """Lines for the user, without those that count nothing."""
        of_all = f" of {TOTAL_ITEMS:,}" if keep == "consensus" else ""
        codes = f"{', '.join(CLASS_CODES[:-1])} or {CLASS_CODES[-1]}"
        places = f"{self.turns:,} rated turns, {self.dialogues} of {TOTAL_DIALOGUES} dialogues"
        counted = [
            (self.other_codes, f"turns whose code is not {codes}: left out (option keep=all adds some)"),
            (self.without_vote, f"turns without a vote for {', '.join(CATEGORIES.names)}: left out"),
            (self.other_tags.total(), f"tags for other labels dropped: {_counts(self.other_tags)}"),
            (self.unknown_tags.total(), f"tags are no known label, dropped: {_counts(self.unknown_tags)}"),
            (len(self.without_sound), f"turns have no sound file: left out{_first(self.without_sound)}"),
            (
                len(self.without_label),
                f"sound files have no rated turn: left out{_first(self.without_label)}",
            ),
        ]
        notes = [f"{count:,} {what}" for count, what in counted if count]
        return [f"{items:,}{of_all} items found ({places})", *notes]


def _counts(tags: Counter[str]) -> str:
    """The tags by count, then name."""
    ordered = sorted(tags.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{tag} {count:,}" for tag, count in ordered)


def _first(names: list[str]) -> str:
    return f" (the first: {names[0]})" if names else ""
