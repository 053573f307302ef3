"""The corpus as data loaders: checked once, split, with curated rationales, in batches of like length."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
from torch.utils.data import DataLoader

from lalm_ambig.core import distributed
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.rationale_parts import RationalePart
from lalm_ambig.core.stopping import ignore_signals
from lalm_ambig.core.types import SPLITS, Batch, Item, Portion
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.prepared import Prepared, prepare
from lalm_ambig.corpora.rationales import check_ids, cut_for, cut_rationales, read_rationales
from lalm_ambig.data.annotators import EACH, Annotators, by_annotator, check_examples, whole_items
from lalm_ambig.data.encoding import Elicitation, Encoder, Readout, approximate_lengths
from lalm_ambig.data.fewer_votes import FewerVotes, with_fewer_votes
from lalm_ambig.data.items import Items
from lalm_ambig.data.sampler import LengthBuckets, ResumableLoader, StepCollator, StepItems, StepShape
from lalm_ambig.data.stratified import stratified_order
from lalm_ambig.prompts import FOR_TEXTS
from lalm_ambig.readouts.logits import Scoring

AUTO: Literal["auto"] = "auto"
"""Value of `eval_batch_size` that fits it to the GPU."""
DEFAULT_EVAL_BATCH = 16
"""Items in a batch of evaluation; with `auto`, too, where the free memory is not known."""


def _cuts(limit: int | float) -> bool:
    """Whether a trainer's limit, a number of batches or a share of them, leaves batches out."""
    return isinstance(limit, int) or limit < 1


def have_same_prompt(first: Corpus, second: Corpus) -> bool:
    """Whether two corpora have the same default prompt, so that a run's prompt suits the other corpus.

    Where the labels of one cannot be read, this is whether both are of one kind.
    """
    try:
        return first is second or first.prompt == second.prompt
    except InputError:
        return first.name == second.name


def _check_cache_size(gb: float) -> None:
    if not gb > 0:  # NaN, too
        raise InputError(f"feature_cache_gb must be positive, got {gb}", where="data")


def _check_positive(**settings: int | None) -> None:
    for name, number in settings.items():
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1, got {number}", where="data")


@dataclass(frozen=True)
class MethodNeeds:
    """Demands of a method and its policy on the data. The defaults suit a method that reasons and samples nothing."""

    rationale: bool = True
    """Whether only items with a rationale are trained on."""
    updates: int = 1
    """Times that each batch is trained on before the next."""
    smallest_step: int = 1
    """Fewest items of an optimiser step."""
    whole_steps: bool = False
    """Whether a step's first pass brings the items of its other passes: the method samples for all at once."""
    next_step: bool = False
    """Whether it brings those of the next step, too: the method has them sampled while it trains."""
    written_items: int | None = None
    """Items for which the policy writes text at a validation; None where it writes none."""
    splits: tuple[Portion, ...] = SPLITS
    """Splits whose items the policy sees."""


class DataModule(lightning.LightningDataModule):
    """Items of a corpus, split and batched.

    A configured object has items. `prepared_for` and `encoded_by` return further objects, which suit a method and have
    loaders; they change nothing on the first one.
    """

    prepared: Prepared

    def __init__(  # noqa: PLR0913  # the configuration's keys
        self,
        corpus: Corpus,
        *,
        batch_size: int = 8,
        eval_batch_size: int | Literal["auto"] = DEFAULT_EVAL_BATCH,
        items_per_update: int | None = None,
        rationales: Path | None = None,
        rationale_part: RationalePart = "all",
        only_with_rationale: bool = False,
        annotators: Annotators = "together",
        annotator_examples: int | None = None,
        prompt: str | None = None,
        glosses: str | None = None,
        scoring: Scoring = "first",
        limit: int | None = None,
        train_votes: int | None = None,
        cache_features: bool = True,
        feature_cache_gb: float = 200.0,
        skip_bad_rows: bool = False,
        skip_long: bool = False,
        workers: int = 0,
        seed: int | None = None,
    ) -> None:
        """Args:
        corpus: The corpus, and how it is split.
        batch_size: Items that one process computes at once in training.
        eval_batch_size: Items in a batch of validation, test and prediction; `auto` fits it to the GPU's free memory.
        items_per_update: Items of one optimiser step, over all processes and passes. It sets
            `trainer.accumulate_grad_batches`, so that a step is the same on any hardware. By default a step has
            the items that batch_size, processes and that setting make.
        rationales: JSON Lines of `data_curation` (or rows with `id` and `rationale`), in place of the corpus's own.
        rationale_part: What curated responses hold of a rationale. `heard` leaves out what gives the answer away: the
            cues of the classes and the synthesis. `keywords` leaves only the line `Keywords:`, for a model too small,
            or a budget too short, to learn more. The prompt then asks for what is heard alone.
        only_with_rationale: Train only on items with a curated rationale, whatever the method. Methods that need
            none are so compared with the others on the same items.
        annotators: Whether an item is answered for all its annotators `together`, or for `each` alone. With `each`,
            a pair of item and annotator is an item, and its prompt says who is asked.
        annotator_examples: Training items whose ratings by that annotator are in a pair's prompt, the most similar
            ones. By default 4, where `annotators` is `each`.
        prompt: Stem of a prompt in `lalm_ambig/prompts`, or a .txt file, for all items. The default is the
            corpus's, and for items without sound one that asks about a text.
        glosses: Stem or .txt file of the meaning of each class, for a prompt with a place for it. The default is
            the prompt's own. It changes the prompt only, never how votes are grouped into classes.
        scoring: How a class name is scored: by the logit of its `first` token, or by all of its tokens
            (`sequence`). Names that begin with the same token need the second.
        limit: Use at most this many items of each split, for a quick look, with all of their annotators. They are a
            sample, the same for every run on that split, in which speakers, parts and classes have their shares.
        train_votes: Train on so many votes of each item, drawn at random by the run's seed: what a corpus with fewer
            votes would teach (docs/concepts/few_votes.md). Validation, test and baselines have all votes.
        cache_features: Compute a frozen audio encoder's features once per clip and keep them on disk.
        feature_cache_gb: Largest cache of features in GB that is written; a larger one is refused before it is begun.
        skip_bad_rows: Leave malformed rows of the corpus out, counted and listed, instead of stopping at the first.
        skip_long: Leave out items that do not fit into the model's positions with the longest response. They are
            counted and listed. Without this setting, such an item stops the run before anything is trained.
        workers: Processes that load batches.
        seed: Seed of the order of the training items: the run's `seed`, or nothing.
        """
        super().__init__()
        _check_positive(
            batch_size=batch_size, eval_batch_size=None if eval_batch_size == AUTO else eval_batch_size
        )
        _check_positive(items_per_update=items_per_update, limit=limit, train_votes=train_votes)
        _check_cache_size(feature_cache_gb)
        self.corpus = corpus
        corpus.skip_bad_rows = corpus.skip_bad_rows or skip_bad_rows
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.items_per_update = items_per_update
        self.rationales_file, self.rationale_part = rationales, rationale_part
        self.only_with_rationale = only_with_rationale
        self.given_prompt = prompt
        self.annotators = annotators
        self.annotator_examples = check_examples(annotators, annotator_examples, train_votes=train_votes)
        self.glosses, self.scoring = glosses, scoring
        self.limit, self.cache_features, self.feature_cache_gb = limit, cache_features, feature_cache_gb
        self.workers, self.seed = workers, seed or 0
        self.skip_long, self.train_votes = skip_long, train_votes
        self.needs = MethodNeeds()
        self.left_out: frozenset[str] = frozenset()
        """Ids of the items that are left out."""
        self.limited: dict[tuple[Portion, bool], list[int]] = {}
        """Positions of a split's items that a limit leaves: per split, and of all items or those with a rationale."""
        self._encoder: Encoder | None = None
        self._is_read = False

    @property
    def categories(self) -> CategorySet:
        return self.corpus.categories

    @property
    def prompt(self) -> str:
        """Prompt of items with sound, or of all items. The corpus may have to read its labels to know it."""
        return self.given_prompt or self.corpus.prompt

    @property
    def prompt_for_texts(self) -> str:
        """Prompt of items without sound: the configured one, or the corpus's as a question about a text."""
        return self.given_prompt or FOR_TEXTS.get(self.prompt, self.prompt)

    def elicitation(self, *, reasoning: bool, readout: Readout) -> Elicitation:
        """How the items are asked for their distributions."""
        return Elicitation(
            self.prompt,
            reasoning,
            readout=readout,
            glosses=self.glosses,
            scoring=self.scoring,
            prompt_for_texts=self.prompt_for_texts,
            rationale_part=self.rationale_part,
            for_annotator=self.annotators == EACH,
        )

    def setup(self, stage: str | None = None) -> None:
        """Read and check the corpus. Later calls do nothing.

        Args:
            stage: Lightning's name of what follows; it makes no difference.

        Raises:
            InputError: The corpus or the rationales are wrong.
        """
        if self._is_read:
            return
        cut = cut_for(self.rationale_part, self.corpus.heard_part)
        self.rationales = read_rationales(self.rationales_file, cut) if self.rationales_file else {}
        self.prepared = prepare(self.corpus)
        if self.annotators == EACH:
            self.prepared = by_annotator(self.prepared, self.corpus, examples=self.annotator_examples)
        if self.rationales_file:
            ids = self.prepared.items().ids()
            check_ids(self.rationales, ids, path=self.rationales_file, corpus=self.corpus.name)
        self._is_read = True

    def prepared_for(self, needs: MethodNeeds) -> "DataModule":
        """Returns this data, read and checked, for a method with these needs.

        The corpus's own rationales are cut (`rationale_part`) where items are trained on: an evaluation reads none.

        Raises:
            InputError: Something is wrong with the corpus or the rationales.
        """
        self.setup()
        cut = cut_for(self.rationale_part, self.corpus.heard_part)
        if cut is None or "train" not in needs.splits:
            return self._with(needs=needs)
        own = (item for item in self.prepared.items() if item.id not in self.rationales)
        parts = cut_rationales(own, cut, where=str(self.corpus.root))
        return self._with(needs=needs, rationales=parts | self.rationales)

    def encoded_by(self, encoder: Encoder) -> "DataModule":
        """Returns this data with loaders, whose batches the encoder makes."""
        return self._with(_encoder=encoder)

    def without(self, ids: frozenset[str]) -> "DataModule":
        """Returns this data without these items, which a limit does not replace by others."""
        return self._with(left_out=ids)

    def unlimited(self) -> "DataModule":
        """Returns this data with all items of each split."""
        return self._with(limit=None)

    def fitted(self, items: int) -> "DataModule":
        """Returns this data with so many items in a batch of validation, test and prediction."""
        return self._with(eval_batch_size=items)

    def _with(self, **changes: Any) -> "DataModule":
        other = copy.copy(self)
        vars(other).update(changes)
        return other

    @property
    def encoder(self) -> Encoder:
        """The encoder, which makes batches of items.

        Raises:
            RuntimeError: This data has none; `encoded_by` returns data that has one.
        """
        if self._encoder is None:
            raise RuntimeError(
                "this data has no encoder: use what encoded_by, or runs.session.connect, returned"
            )
        return self._encoder

    def items(self, split: Portion, *, with_rationale: bool = False) -> Items:
        """Return items of a split, or of all splits.

        Args:
            split: The split, or `all`.
            with_rationale: Leave out items without a rationale.
        """
        source = self.prepared.items(None if split == "all" else split)
        keep: Sequence[int] = range(len(source))
        if with_rationale:
            rows = enumerate(zip(source.has_rationale(), source.ids(), strict=True))
            keep = [i for i, (has_rationale, item) in rows if has_rationale or item in self.rationales]
        if self.limit is not None and self.limit < len(keep):
            chosen = (split, with_rationale)
            if chosen not in self.limited:
                self.limited[chosen] = whole_items(Items(source, {}, keep), self._sampled, count=self.limit)
            keep = self.limited[chosen]
        if self.left_out:
            ids = source.ids()
            keep = [i for i in keep if ids[i] not in self.left_out]
        return Items(source, self.rationales, keep)

    def of_every_split(self) -> list[Item]:
        """The items of the three splits, one split after the other."""
        return [item for split in SPLITS for item in self.items(split)]

    def _sampled(self, items: Items, count: int | None) -> list[int]:
        """Positions of a sample of the items, in stratified order. The split's seed makes it the same for every run."""
        ids, strata = items.source.ids(), items.source.strata()
        chosen = [ids[place] for place in items.keep], [strata[place] for place in items.keep]
        return [items.keep[n] for n in stratified_order(*chosen, seed=self.corpus.seed, count=count)]

    def validation_items(self) -> Items:
        """Return the validation split, the same at every validation.

        Items for which text is written come first. Where the trainer takes only some batches, any number of first
        items is a sample of the split.
        """
        items, trainer = self.items("validation"), self.trainer
        if trainer is not None and _cuts(trainer.limit_val_batches):
            return items.select(self._sampled(items, None))
        written = self.needs.written_items
        if written is None or written >= len(items):
            return items
        first = sorted(self._sampled(items, written))
        sampled = set(first)
        return items.select([*first, *(place for place in items.keep if place not in sampled)])

    def train_items(self) -> Items:
        """Return the items that are trained on.

        Raises:
            InputError: There are none, or none has the rationale that the method needs.
        """
        items = self.items("train", with_rationale=self.needs.rationale or self.only_with_rationale)
        if items:
            votes = self.train_votes
            return items if votes is None else with_fewer_votes(items, FewerVotes(votes, self.seed))
        where = f"corpus {self.corpus.name}"
        every = len(self.items("train"))
        if not every:
            remedy = (
                "Look at its splits with python -m lalm_ambig.describe; --data.corpus.seed draws another."
            )
            what = f"none of its {len(self.prepared.items())} items is for training."
            raise InputError(what, where=where, remedy=remedy)
        raise InputError(
            f"none of the {every} training items has a rationale.",
            where=where,
            remedy="Give --data.rationales FILE (python -m data_curation write makes one), or a method without them.",
        )

    def notes(self) -> list[str]:
        """Return a line on training items that are left out since they have no rationale, if there are any."""
        if not (self.needs.rationale or self.only_with_rationale):
            return []
        every, trained = self.items("train"), set(self.train_items().view.ids())
        without = [item for item in every.view.ids() if item not in trained]
        if not without or self.limit is not None:
            return []
        first = ", ".join(without[:3]) + (", …" if len(without) > 3 else "")
        return [f"{len(without)} of {len(every)} training items have no rationale and are left out ({first})"]

    def train_dataloader(self) -> ResumableLoader:
        items = self.train_items()
        trainer: Any = self.trainer
        shape = StepShape(
            self.batch_size,
            rank=distributed.rank(),
            world_size=distributed.world_size(),
            passes=trainer.accumulate_grad_batches,
            smallest=self.needs.smallest_step,
            times=self.needs.updates,
        )
        order = LengthBuckets(approximate_lengths(items), shape, seed=self.seed)
        return ResumableLoader(
            StepItems(items, whole_steps=self.needs.whole_steps, next_step=self.needs.next_step),
            order,
            trainer=trainer,
            collate_fn=StepCollator(self.encoder),
            workers=self.workers,
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader(self.validation_items())

    def test_dataloader(self) -> DataLoader[Batch]:
        return self.loader("test")

    def loader(self, split: Portion) -> DataLoader[Batch]:
        """Return a loader of this process's share of a split's items, in the corpus's order."""
        return self._loader(self.items(split))

    def _loader(self, items: Items) -> DataLoader[Batch]:
        share = items.select(distributed.shard(items.keep))
        return DataLoader(
            share,  # type: ignore[arg-type]
            batch_size=DEFAULT_EVAL_BATCH if self.eval_batch_size == AUTO else self.eval_batch_size,
            collate_fn=self.encoder,
            num_workers=self.workers,
            worker_init_fn=ignore_signals,
        )
