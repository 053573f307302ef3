"""EmoTale: 18 speakers act five emotions in Danish, 14 of them also in English; three raters judged each clip.

Read as distributed: `annotations.csv` for the labels, `wav/*.wav` for the clips; any subset of the clips may be on
disk. No licence is stated, so the corpus is for evaluation only: every item is in the test split.

With three raters an item has at most three classes with a vote. What one rater scores against the other two is
therefore a better yardstick than 0 (`describe` prints the floors).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.emotale.ratings import (
    AUDIO_FOLDER,
    BOREDOM,
    EMOTION,
    EMOTIONS,
    LANGUAGES,
    RATERS,
    RATINGS_FILE,
    SCALES,
    RatedClip,
    classes_of,
    read_ratings,
)
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.paths import Enclosure

WITHOUT_BOREDOM = CategorySet(tuple(name for name in EMOTIONS.names if name != "boredom"))


@dataclass(kw_only=True, eq=False)
class EmoTale(Corpus):
    """The rated clips of one language that are on disk. All are test items.

    Args:
        root: The folder that holds annotations.csv and wav.
        seed: Changes nothing: all items are tested.
        fold: None; all items are tested.
        language: The language that is spoken: en or da.
        target: What the raters judged: emotion, arousal, valence or dominance. The last three are scales from 1 to 5
            in steps of 0.5.
        boredom: False leaves out votes for boredom, and clips without another: the classes of CREMA-D remain.
        allow_outside: Accept sound that is not in the root, but that a link in it leads to.

    Raises:
        InputError: `language` or `target` is none of these, a fold is asked for, or boredom is left out of a scale.
    """

    language: str = "en"
    target: str = EMOTION
    boredom: bool = True
    allow_outside: bool = False

    name = "emotale"
    how_to_obtain = (
        "EmoTale is in its authors' repository (ASRU 2025; no licence is stated): give the folder that holds "
        "annotations.csv and wav."
    )
    licensed = True
    usual_target = f"en, {EMOTION}"

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"corpus {self.name}"
        choices = ("language", self.language, tuple(LANGUAGES)), ("target", self.target, (EMOTION, *SCALES))
        for option, value, allowed in choices:
            if value not in allowed:
                wrong = f"{option} must be one of {', '.join(allowed)}, got {value!r}"
                raise InputError(wrong, where=where)
        if not self.boredom and self.target != EMOTION:
            wrong = f"boredom is a class of target {EMOTION}, and the target is {self.target}"
            raise InputError(wrong, where=where, remedy="Leave the option boredom out.")
        if self.fold is not None:
            wrong = f"fold must be null, got {self.fold}: all items are tested"
            raise InputError(wrong, where=where)

    @classmethod
    def parsed_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Options as they are.

        Raises:
            InputError: `boredom` is neither true nor false.
        """
        if not isinstance(boredom := options.get("boredom", True), bool):
            raise InputError(f"boredom must be true or false, got {boredom!r}", where=f"corpus {cls.name}")
        return dict(options)

    @property
    def categories(self) -> CategorySet:
        return classes_of(self.target) if self.boredom else WITHOUT_BOREDOM

    @property
    def prompt(self) -> str:
        return "speech_emotion" if self.target == EMOTION else f"speech_{self.target}"

    @property
    def draws_splits(self) -> bool:
        """False: all items are tested."""
        return False

    @property
    def no_items_remedy(self) -> str:
        return (
            f"Train on another corpus, and evaluate that run here (evaluate --run RUN --corpus {self.name}): "
            "without a licence this corpus is for evaluation only"
        )

    @property
    def target_name(self) -> str:
        """Language and scale, and whether boredom is left out."""
        return f"{self.language}, {self.target}{'' if self.boredom else ' without boredom'}"

    def label_files(self) -> Sequence[Path]:
        self.require(self.root)
        return [self.require(self.root / RATINGS_FILE)]

    def settings(self) -> dict[str, Any]:
        return {
            **super().settings(),
            "language": self.language,
            "target": self.target,
            "boredom": self.boredom,
            "allow_outside": self.allow_outside,
        }

    def read(self) -> Iterator[Item]:
        """Yield the clips that have both labels and a sound file.

        Raises:
            InputError: There is no such clip, or a row is malformed and `skip_bad_rows` is off.
        """
        bad_rows = BadRows(skip=self.skip_bad_rows)
        [path] = self.label_files()
        rated = read_ratings(path, self.target, bad_rows=bad_rows)
        spoken = [one for one in rated if one.language == LANGUAGES[self.language]]
        clips = self._clips_on_disk()
        present = [one for one in spoken if one.clip in clips]
        if not present:
            raise InputError(
                f"none of the {len(spoken):,} clips with language {self.language} that {RATINGS_FILE} rates is in "
                f"{self.root / AUDIO_FOLDER}.",
                where=f"corpus {self.name}",
                remedy=self.how_to_obtain,
            )
        items = [item for one in present if (item := self._item(one, clips)) is not None]
        self._notes = (
            f"{len(present):,} of {len(spoken):,} rated clips found (language {self.language})",
            *self._dropped(present, items),
            "for evaluation only: all items are in the test split",
            *bad_rows.notes(good=len(rated)),
        )
        yield from items

    def _item(self, rated: RatedClip, clips: Mapping[str, str]) -> Item | None:
        """The item of a clip; None where all its votes are left out."""
        ratings = [(name, at) for name, at in zip(RATERS, rated.labels, strict=True) if self._counts(at)]
        if not ratings:
            return None
        counts = Counter(self._place(at) for _, at in ratings)
        item = Item(
            id=rated.clip,
            votes=tuple(float(counts[place]) for place in range(len(self.categories))),
            audio=clips[rated.clip],
            speaker=rated.speaker,
            split="test",
        )
        return replace(
            item,
            annotators=tuple(name for name, _ in ratings),
            annotations=tuple(self._place(at) for _, at in ratings),
        )

    def _counts(self, label: int) -> bool:
        return self.boredom or label != BOREDOM

    def _place(self, label: int) -> int:
        """Position of a label among the classes."""
        return label if self.boredom or label < BOREDOM else label - 1

    def _dropped(self, present: Sequence[RatedClip], items: Sequence[Item]) -> Iterator[str]:
        if self.boredom:
            return
        votes = sum(label == BOREDOM for one in present for label in one.labels)
        yield (
            f"{votes:,} votes for boredom left out, and {len(present) - len(items):,} clips that have no other "
            "(option boredom)"
        )

    def _clips_on_disk(self) -> dict[str, str]:
        enclosure = Enclosure(self.root, allow_outside=self.allow_outside)
        return enclosure.sounds(self.require(self.root / AUDIO_FOLDER), where=f"corpus {self.name}")
