"""Some items of the corpus of a run, which people have judged and the run was not trained on, for the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.inference.identity import Seen
from lalm_ambig.inference.model import Model
from lalm_ambig.inference.questions import Question

MOST = 5
SPLITS: tuple[Literal["test"], Literal["validation"]] = ("test", "validation")
"""Where examples are from; the first split that has any."""
CONTENT_TYPES = {".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg"}


@dataclass(frozen=True)
class Example:
    """An item and what people say of it."""

    title: str
    split: str
    votes: dict[str, float]
    """Votes by class."""
    question: Question

    @property
    def clip(self) -> Path | None:
        return self.question.audio

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES.get(self.clip.suffix.lower() if self.clip else "", "application/octet-stream")

    def record(self, number: int) -> dict[str, object]:
        """The example as the interface describes it."""
        total = sum(self.votes.values())
        return {
            "number": number,
            "title": self.title,
            "split": self.split,
            "text": self.question.text,
            "has_audio": self.clip is not None,
            "votes": self.votes,
            "people": {name: round(count / total, 6) for name, count in self.votes.items()},
        }


def examples_of(model: Model, *, is_local: bool) -> tuple[list[Example], str | None]:
    """Some items of the run's own corpus, from unanimous to ambiguous.

    Args:
        model: The model.
        is_local: Whether only this machine reaches the server. Others get nothing of a licensed corpus.

    Returns:
        The examples, and why there are none.
    """
    data = model.loaded.data
    if not model.loaded.is_trained:
        return [], "the model was not trained by a run"
    if data.categories.names != model.classes:
        return [], "the run's corpus has other classes"
    if data.corpus.licensed and not is_local:
        return [], f"{data.corpus.name} is licensed, and others reach this server"
    try:
        data.setup()
        for split in SPLITS:
            if items := _chosen(list(data.items(split))):
                examples = [_example(item, model.classes, split) for item in items]
                seen = Seen.by(model).notes([example.question for example in examples])
                return [one for one, note in zip(examples, seen, strict=True) if note is None], None
    except InputError as error:
        return [], str(error)
    return [], f"{data.corpus.name} has no test or validation items"


def _chosen(items: Sequence[Item]) -> list[Item]:
    """Items that are evenly spaced by ambiguity."""
    if len(items) <= MOST:
        return list(items)
    ordered = sorted(items, key=lambda item: (_entropy(item.label_dist), item.id))
    return [ordered[round(place * (len(ordered) - 1) / (MOST - 1))] for place in range(MOST)]


def _entropy(shares: Sequence[float]) -> float:
    return -sum(share * math.log(share) for share in shares if share > 0)


def _example(item: Item, classes: Sequence[str], split: str) -> Example:
    audio = None if item.audio is None else Path(item.audio)
    return Example(
        title=item.id,
        split=split,
        votes=dict(zip(classes, item.votes, strict=True)),
        question=Question(item.id, audio=audio, text=item.text),
    )
