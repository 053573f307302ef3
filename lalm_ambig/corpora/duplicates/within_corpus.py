"""Repetitions within a corpus: texts, premises, clips, and speakers in train and test; counted, never an error."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.duplicates.contents import SOUND, contents, premise_form, text_form

NAMED = 3
"""Most repeated things that are named."""
LONGEST_NAME = 40
"""Most characters of a text in its name."""


@dataclass(frozen=True)
class Repetition:
    """Texts, premises, clips or speakers that more than one item has."""

    items: int
    """Items that have one of them."""
    distinct: int
    """Number of different ones."""
    named: tuple[str, ...] = ()
    """The most frequent of them."""

    @property
    def line(self) -> str:
        """The counts in words; empty where nothing is repeated."""
        if not self.items:
            return ""
        more = ", …" if self.distinct > len(self.named) else ""
        return f"{self.items:,} items, {self.distinct:,} different ({', '.join(self.named)}{more})"


def repeats(items: Iterable[Item], *, sound: bool) -> dict[str, Repetition]:
    """Count what items share.

    Args:
        items: All items of a corpus.
        sound: Compare clips, too; this opens every sound file.

    Returns:
        Kind (texts, premises, speakers in train and test, clips) → its repetitions.
    """
    listed = list(items)
    repetitions = {
        "texts": _texts(listed, lambda item: text_form(item.text) if item.text else None),
        "premises": _texts(listed, lambda item: premise_form(item.text) if item.text else None),
        "speakers in train and test": _speakers(listed),
    }
    return repetitions | ({"clips": _clips(listed)} if sound else {})


def _texts(items: list[Item], form: Callable[[Item], str | None]) -> Repetition:
    first: dict[str, str] = {}
    counts = Counter[str]()
    for item in items:
        if (same := form(item)) is not None:
            counts[same] += 1
            first.setdefault(same, item.text or "")
    several = [(same, count) for same, count in counts.most_common() if count > 1]
    named = tuple(f"{_short(first[same])} ×{count:,}" for same, count in several[:NAMED])
    return Repetition(sum(count for _, count in several), len(several), named)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…")


def _clips(items: list[Item]) -> Repetition:
    heard = [item for item in items if item.audio is not None]
    groups = defaultdict[str, list[str]](list)
    for item, content in zip(heard, contents(heard), strict=True):
        if content.startswith(SOUND):
            groups[content].append(item.id)
    several = [ids for ids in groups.values() if len(ids) > 1]
    return Repetition(
        sum(map(len, several)), len(several), tuple(" = ".join(ids[:2]) for ids in several[:NAMED])
    )


def _speakers(items: list[Item]) -> Repetition:
    """Test items by speakers who are trained on."""
    trained = {item.speaker for item in items if item.split == "train"} - {None}
    shared = Counter(item.speaker for item in items if item.split == "test" and item.speaker in trained)
    named = tuple(f"{speaker} ×{count:,}" for speaker, count in shared.most_common(NAMED))
    return Repetition(shared.total(), len(shared), named)
