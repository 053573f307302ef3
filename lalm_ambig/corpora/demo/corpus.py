"""The demo: a corpus that the project makes itself in seconds, in CREMA-D's layout, and reads as CREMA-D is read.

The clips are speech-like; loudness, pitch, rate and timbre carry the emotion. The votes come from a model of listeners
who disagree (`perception`). Every clip has a rationale. The demo shows that a run works and what it reports. It says
nothing about people.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.corpora.crema_d.votes import CATEGORIES, VOTES_FILE
from lalm_ambig.corpora.demo.rationale import heard_before_verdict
from lalm_ambig.corpora.demo.writer import RATIONALES_FILE, DemoSettings, write_demo
from lalm_ambig.corpora.rationales import read_rationales
from lalm_ambig.corpora.reading.splits import split_by_group
from lalm_ambig.files.places import cache_root

SETTINGS = DemoSettings()
SEEDS = {"home": 0, "abroad": 1}
"""Panel of listeners → seed of the speakers and clips that it hears."""


class Demo(Corpus):
    """Synthetic clips of 40 actors with votes and rationales, split by actor 70/10/20 or into five folds.

    It has no `skip_bad_rows`, as its rows are this program's own, and the only root that may be missing.

    Args:
        root: Where the demo is or will be made; None for a folder of its own in the cache.
        seed: Seed of the split by actor; the clips are always the same.
        fold: None for 70/10/20, or 0 to 4 for one of five folds with disjoint actors.
        panel: `home`, or `abroad`: other speakers, and listeners who say neutral and anger more readily.
    """

    name = "demo"
    how_to_obtain = (
        "The project makes the demo itself: leave --root out, or name a folder that is empty or new."
    )
    prompt = "speech_emotion"
    ids_are_global = False

    def __init__(
        self,
        root: Path | None = None,
        *,
        part: str | None = None,
        seed: int = 0,
        fold: int | None = None,
        panel: Literal["home", "abroad"] = "home",
    ) -> None:
        self.clips = replace(SETTINGS, seed=SETTINGS.seed + SEEDS[panel], panel=panel)
        folder = cache_root() / f"demo-{self.clips.fingerprint()}" if root is None else root
        super().__init__(folder, part=part, seed=seed, fold=fold)
        self._reader = CremaD(self.root, seed=seed, fold=fold)

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    def label_files(self) -> Sequence[Path]:
        """The votes and the rationales, made now if the folder is new or empty."""
        if not self.root.exists() or (self.root.is_dir() and not any(self.root.iterdir())):
            write_demo(self.root, self.clips)
        return [self.require(self.root / VOTES_FILE), self.require(self.root / RATIONALES_FILE)]

    def read(self) -> Iterator[Item]:
        rationales = read_rationales(self.label_files()[1])
        items = list(self._reader.read())
        splits = split_by_group((str(item.speaker) for item in items), seed=self.seed, fold=self.fold)
        for item in items:
            if item.id not in rationales:
                raise InputError(f"no rationale for clip {item.id}", where=str(self.root / RATIONALES_FILE))
            yield replace(item, split=splits[str(item.speaker)], rationale=rationales[item.id])

    def heard_part(self, rationale: str, categories: Sequence[str] | None = None) -> str | None:
        return super().heard_part(rationale, categories) or heard_before_verdict(rationale)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "demo": self.clips.fingerprint()}
