"""Where predictions come from: corpus, split, readout, policy, and what a table has to say beside its numbers."""

from dataclasses import dataclass
from typing import Literal

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.items import ALL
from lalm_ambig.corpora.base import LALM_METRICS
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.stages import Past

Reasoning = Literal["generated", "curated", "direct", "none"]
"""The text before the answer: the policy's reasoning, the curated one, or the bare prompt. `none`: a baseline, which
reads nothing."""


SAMPLED = "sampled"
"""The readout of one-label answers: p̂ is the share of the sampled ones."""
PROMPTED = {SAMPLED: "logits"}
"""Readout → the readout that has the same prompt, if that is another: a policy is asked alike for both."""


@dataclass(frozen=True)
class About:
    """The origin of a set of predictions."""

    corpus: str
    """Name of the corpus."""
    split: str
    """`train`, `validation` or `test`; `all` where every item was tested."""
    readout: str
    """`logits`, `verbalised` or `sampled`; `none` for a baseline."""
    reasoning: Reasoning
    """What the answer was read after: `generated`, `curated` or no reasoning (`direct`); `none` for a baseline."""
    policy: str
    """One line with model, method and run."""
    left_out: int = 0
    """Items of the split that were not predicted (faulty audio, for instance)."""
    trained_on: str | None = None
    """The corpus of the training items, where it is another than `corpus` (cross-domain); else None."""
    trained_classes: tuple[str, ...] = ()
    """That corpus's classes, in its order; empty where `trained_on` is None."""
    table_metrics: tuple[str, ...] = LALM_METRICS
    """Metrics that tables and break-downs show, by name: the corpus's `table_metrics`."""
    samples: int = 1
    """Responses per item. 1 is the greedy response; more are sampled at temperature 1, and their mean is the answer.
    Those of the readout `sampled` are one-label answers, whose share is the answer."""
    sampled_at: float | None = None
    """Temperature at which one-label answers were sampled; None for other readouts."""
    temperature: float | None = None
    """Temperature of the class logits, where it was fitted on validation items; None leaves them as they are."""
    fold_temperatures: tuple[float, ...] = ()
    """The same, where all items were tested and each fold's temperature was fitted on its own validation items."""
    part: str | None = None
    """The part or target of the corpus, where one was chosen (`part_or_target`); None also in older files."""
    seconds_an_item: float | None = None
    """Answering time per item, in seconds; None where it was not measured."""
    trained_items: Overlap | None = None
    """The items of the split that the policy was trained on; None for a baseline, and in older files."""
    training: Past | None = None
    """Its trainings: the items of each, and what it took. Empty for an untrained policy; None for a baseline, and in
    older files."""
    tokens_charged: int | None = None
    """Tokens of prompts and answers that an endpoint has counted; None for a policy of ours and a baseline."""
    cost_usd: float | None = None
    """What these cost in US dollars; None where prices are not known."""

    @property
    def corpus_and_part(self) -> str:
        """The corpus, and its part or target where one was chosen."""
        return self.corpus if self.part is None else f"{self.corpus} ({self.part})"

    @property
    def part_of_corpus(self) -> str:
        """The split in words: `test split`, or `all splits`."""
        return "all splits" if self.split == ALL else f"{self.split} split"

    def unseen(self, categories: CategorySet) -> tuple[str, ...]:
        """The classes that were never trained, because the other corpus does not have them (by key)."""
        return () if self.trained_on is None else categories.unseen_in(CategorySet(self.trained_classes))
