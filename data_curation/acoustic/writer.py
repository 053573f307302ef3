"""The acoustic writer: composes measurements and votes into the structure of ambiguity-aware LALM, Table 1.

The sentences on prosody depend on the measurement only. The votes decide the classes that have cues, their order, and
the graded words of the synthesis.
"""

import random
from collections.abc import Sequence
from functools import cached_property

from data_curation.acoustic.argument import argue
from data_curation.acoustic.measure import Measurement, measure
from data_curation.acoustic.prosody import (
    acoustic_keywords,
    pitch_sentence,
    speed_sentence,
    tone_sentence,
    volume_sentence,
)
from data_curation.acoustic.relative import LEAST_CLIPS, standing_among
from data_curation.acoustic.synthesis import synthesise
from data_curation.acoustic.terms import Pick, Standing, voice_of
from data_curation.acoustic.wording import remark_on
from data_curation.records import Reasoning, active
from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item

VERSION = "4"
"""Part of a row, and of its content address. It must be raised when the same clip and seed would give another text."""
CORPUS_CLIPS = 400
"""Largest number of clips that represent the corpus, drawn by the seed."""


class AcousticWriter:
    """Writes rationales offline. The same items, seed and version always give the same text."""

    def __init__(self, items: Sequence[Item], categories: CategorySet, *, seed: int) -> None:
        """Args:
        items: All items of the corpus, since a clip is compared with its speaker's other clips.
        categories: The classes of the items' votes.
        seed: Seed of the wording.
        """
        self.categories = categories
        self.seed = seed
        self._with_audio = [item for item in items if item.audio is not None]
        self._by_speaker: dict[str, list[Item]] = {}
        for item in self._with_audio:
            if item.speaker is not None:
                self._by_speaker.setdefault(item.speaker, []).append(item)
        self._measured: dict[str, Measurement | None] = {}

    def write(self, item: Item) -> tuple[Reasoning, dict[str, float]]:
        """Write the reasoning for an item.

        Args:
            item: The item.

        Returns:
            The reasoning, and the numbers that it was made from: the fields of `Measurement`, and each score as
            `NAME.score`.

        Raises:
            InputError: The item has no readable audio, or there are too few clips to compare it with.
        """
        if item.audio is None:
            raise InputError("no audio: the acoustic writer has nothing to measure.", where=f"item {item.id}")
        measured = self._measured.get(item.id) or measure(read_audio(item.audio), item.text)
        standing = self._standing(item, measured)
        pick: Pick = random.Random(f"{self.seed}/{item.id}").choice
        scores = {f"{name}.score": round(score, 3) for name, score in standing.scores.items()}
        numbers = {name: round(value, 3) for name, value in measured.present().items()}
        return compose(item, standing, self.categories, pick=pick), numbers | scores

    def _standing(self, item: Item, measured: Measurement) -> Standing:
        of_speaker = self._clips(self._by_speaker.get(item.speaker, [])) if item.speaker is not None else []
        if len(of_speaker) >= LEAST_CLIPS:
            return standing_among(measured, of_speaker, against="speaker")
        if len(self._corpus) < LEAST_CLIPS:
            raise InputError(
                f"only {len(self._corpus)} clips can be measured, {LEAST_CLIPS} are needed for comparison.",
                where=f"item {item.id}",
            )
        return standing_among(measured, self._corpus, against="corpus")

    @cached_property
    def _corpus(self) -> list[Measurement]:
        drawn = random.Random(self.seed).sample(self._with_audio, min(CORPUS_CLIPS, len(self._with_audio)))
        return self._clips(drawn)

    def _clips(self, items: Sequence[Item]) -> list[Measurement]:
        """Measurements of the items with readable audio; each item is measured once."""
        for item in items:
            if item.id not in self._measured:
                self._measured[item.id] = _measured_or_none(item)
        return [measurement for item in items if (measurement := self._measured[item.id]) is not None]


def _measured_or_none(item: Item) -> Measurement | None:
    assert item.audio is not None
    try:
        return measure(read_audio(item.audio), item.text)
    except InputError:  # the item is reported at its turn; as a yardstick it is not needed
        return None


def compose(item: Item, standing: Standing, categories: CategorySet, *, pick: Pick) -> Reasoning:
    """Compose the reasoning for an item.

    Args:
        item: The item, with its votes.
        standing: Scores of its clip.
        categories: The classes of the votes.
        pick: Chooses among wordings.
    """
    names = active(item.votes, categories.names)
    share = dict(zip(categories.names, item.label_dist, strict=True))
    voice = voice_of(standing, pick=pick)
    remark = remark_on(item.text, categories.keys, pick=pick)
    return Reasoning(
        keywords=(*acoustic_keywords(voice), remark.keyword),
        text_analysis=remark.sentence,
        volume=volume_sentence(voice, pick=pick),
        speed=speed_sentence(voice, pick=pick),
        pitch=pitch_sentence(voice, pick=pick),
        tone=tone_sentence(voice, pick=pick),
        class_cues=argue(names, voice, leaders=item.votes.count(max(item.votes)), pick=pick),
        synthesis=synthesise([(name, share[name]) for name in names], pick=pick),
    )
