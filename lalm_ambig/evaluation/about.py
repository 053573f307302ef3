"""Where predictions come from: what a table has to say beside its numbers."""

from dataclasses import dataclass
from typing import Literal

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.items import ALL
from lalm_ambig.corpora.base import LALM_METRICS
from lalm_ambig.evaluation.overlap import Overlap

Reasoning = Literal["generated", "curated", "direct", "none"]
"""What the answer was read after: the policy's own reasoning, the curated one, the bare prompt; `none` is for
a baseline, which reads nothing."""


@dataclass(frozen=True)
class About:
    """Where predictions come from."""

    corpus: str
    split: str
    readout: str
    """`logits` or `verbalised`; `none` for a baseline."""
    reasoning: Reasoning
    policy: str
    """One line: model, method and run."""
    left_out: int = 0
    """Items of the split that were not predicted (faulty audio, for instance)."""
    trained_on: str | None = None
    """The corpus that was trained on, where it is another than `corpus` (cross-domain); else None."""
    trained_classes: tuple[str, ...] = ()
    """That corpus's classes, in its order; empty where `trained_on` is None."""
    table_metrics: tuple[str, ...] = LALM_METRICS
    """The corpus's `table_metrics`: what tables and break-downs show."""
    samples: int = 1
    """1: the greedy response; more: the mean distribution of so many, sampled at temperature 1."""
    temperature: float | None = None
    """Of the class logits, where it was fitted on validation items; None: as the policy has them."""
    part: str | None = None
    """The part of the corpus, where it has parts and one was chosen; None too in files from before it was kept."""
    seconds_an_item: float | None = None
    """Time that answering took, over the number of items, in seconds; None where it was not kept."""

    trained_items: Overlap | None = None
    """What of the split the policy was trained on; None for a baseline, and in files from before it was kept."""

    @property
    def part_of_corpus(self) -> str:
        """In words: `test split`, or `all splits`."""
        return "all splits" if self.split == ALL else f"{self.split} split"

    def unseen(self, categories: CategorySet) -> tuple[str, ...]:
        """The classes that were never trained: those that the other corpus does not have, by key."""
        return () if self.trained_on is None else categories.unseen_in(CategorySet(self.trained_classes))
