"""The rows of evaluate's table, each scored and saved in a folder: the policy's answers, and simple baselines."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from lalm_ambig.baselines.annotator_most_frequent import AnnotatorMostFrequent
from lalm_ambig.baselines.labels import drawn_labels
from lalm_ambig.baselines.prior import mapped_prior, prior
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import ALL, Item, Portion
from lalm_ambig.data.annotators import EACH
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.about import SAMPLED
from lalm_ambig.evaluation.annotator_table import MOST_FREQUENT
from lalm_ambig.evaluation.notes import FLOOR
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction, read_predictions
from lalm_ambig.evaluation.results import About, Reasoning, Results
from lalm_ambig.evaluation.results_file import write_results
from lalm_ambig.evaluation.temperature import apply_temperature, fit_temperature
from lalm_ambig.methods.readers import Reader, SampledLabels
from lalm_ambig.runs.evaluation import baseline_inputs, predict, reasoning_of, score_and_save
from lalm_ambig.runs.fold_by_fold import SCALED, Folds, folds_of
from lalm_ambig.runs.loading import Loaded, Source
from lalm_ambig.runs.past import past_of_policy
from lalm_ambig.runs.processes.launch import single_device_trainer


@dataclass(frozen=True)
class EvaluationRows:
    """Makes the rows of the table: the policy on a split, and baselines that look at no item."""

    loaded: Loaded
    data: DataModule
    source: Source | None
    """The corpus that the policy was trained on, if it is another one."""
    split: Portion
    out: Path
    overlap: Overlap | None = None
    """The items among them that the policy was trained on."""
    folds: Folds | None = None
    """Where all items are tested at a temperature: the folds that it is fitted in."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds per item, by what an answer is made of."""
    answers: dict[str, Sequence[Prediction]] = field(default_factory=dict)
    """The policy's answers, by the same."""

    def policy(self, samples: Sequence[int], labels: Sequence[int] = ()) -> dict[str, Results]:
        """Return the policy's rows by label, and save the first one in `out` itself.

        Args:
            samples: Numbers of sampled responses whose mean is an answer; 1 is the greedy response. Each makes a row.
            labels: Numbers of one-label answers whose share is an answer. Each makes a row.
        """
        rows: dict[str, Results] = {}
        for count in dict.fromkeys(samples):
            label = self.loaded.label if count == 1 else f"{self.loaded.label}, mean of {count} samples"
            rows[label] = self._policy(count, self.out if not rows else self.out / f"samples_{count}")
        for count in dict.fromkeys(labels):
            folder = self.out if not rows else self.out / f"labels_{count}"
            rows[f"{self.loaded.label}, share of {count} labels"] = self._labels(count, folder)
        return rows

    def _policy(self, samples: int, folder: Path) -> Results:
        model = self.loaded.model
        model.generation = replace(model.generation, samples=samples)
        name = "greedy" if samples == 1 else f"{samples} samples"
        about = replace(self._of_policy(self._about_policy(self.loaded.label)), samples=samples)
        return self._read(folder, name, about)

    def _labels(self, count: int, folder: Path) -> Results:
        """Save the row of the share of one-label answers, sampled at the temperature of the run's training."""
        model, about = self.loaded.model, self._of_policy(self._about_policy(self.loaded.label))
        temperature, longest = model.sampling.temperature, model.generation.max_new_tokens
        about = replace(about, readout=SAMPLED, samples=count, sampled_at=temperature)
        reader = SampledLabels(reasoning_of(model), count, temperature, longest)
        return self._read(folder, f"{count} labels", about, reader)

    def _read(self, folder: Path, name: str, about: About, reader: Reader | None = None) -> Results:
        """Read the split, note how long it took, and save the row."""
        trainer = single_device_trainer(self.loaded.cli)
        start = time.perf_counter()
        self.answers[name] = rows = predict(trainer, self.loaded.model, self.data, self.split, reader=reader)
        self.seconds[name] = (time.perf_counter() - start) / len(rows)
        about = replace(about, seconds_an_item=self.seconds[name])
        return score_and_save(folder, rows, self.data.categories, about=about)

    def floors(self, labels: Sequence[int]) -> dict[str, Results]:
        """Return the floors by label: what exact agreement with people scores by as many labels as named a class.

        Args:
            labels: Numbers of labels, whose shares have been read. Each makes a row.
        """
        rows = {}
        for count in dict.fromkeys(labels):
            folder, meaning = f"floor_{count}", "labels drawn from people's own distribution"
            results = self._baseline(folder, drawn_labels(self.answers[f"{count} labels"]), meaning)
            note = f"{FLOOR}as many {meaning} as named a class among the {count} of each item"
            results = replace(results, notes=(note, *results.notes))
            write_results(self.out / folder / "metrics.json", results)
            rows[f"floor of {count} labels"] = results
        return rows

    def scaled(self, samples: int) -> dict[str, Results]:
        """Return the row of the answers in `out` at the temperature that fits the validation split best.

        Where all items are tested, this is done fold by fold, and every item has been answered already.

        Args:
            samples: Number of samples that these answers were made with.
        """
        model = self.loaded.model
        model.generation = replace(model.generation, samples=samples)
        answers = read_predictions(self.out / "predictions.jsonl")
        if self.folds is not None:
            scaled, temperatures = self.folds.scaled(answers)
            of_folds, temperature, shown = temperatures, None, "fold by fold"
        else:
            trainer = single_device_trainer(self.loaded.cli)
            temperature = fit_temperature(predict(trainer, model, self.data, "validation"))
            scaled, of_folds, shown = apply_temperature(answers, temperature), (), f"{temperature:.2f}"
        label = f"{self.loaded.label}, temperature {shown}"
        about = replace(self._of_policy(self._about_policy(label)), samples=samples)
        about = replace(about, temperature=temperature, fold_temperatures=of_folds)
        return {label: score_and_save(self.out / SCALED, scaled, self.data.categories, about=about)}

    def costs(self) -> str:
        """Return seconds per item for each kind and number of samples, as a line."""
        return ", ".join(f"{name} {seconds:.2f} s an item" for name, seconds in self.seconds.items())

    def baselines(self, console: Console) -> dict[str, Results]:
        """Return the rows of uniform, of the corpus's prior, and of the mapped prior in a cross-domain evaluation.

        A corpus without training items has no prior. Where all items are tested, it is learnt fold by fold, since the
        prior of all items would know their votes; a corpus without folds then has none.

        Args:
            console: Is told why a prior is missing.
        """
        items = self.data.items(self.split)
        rows = {"uniform": self._baseline("uniform", uniform(items), "every class equally likely")}
        label = "prior" if self.source is None else "in-domain prior"
        meaning = f"mean distribution of {self.data.corpus.name}'s training split"
        if self.split == ALL:
            try:
                rows[label] = self._baseline("prior", self._prior_of_folds(items), f"{meaning}, fold by fold")
            except InputError as error:
                console.print(f"no prior of {self.data.corpus.name}: {error}")
        elif len(train := self.data.items("train")):
            told = self.split == "train"
            rows[label] = self._baseline("prior", prior(items, train=train), meaning, told=told)
        if self.data.annotators == EACH and self.split != ALL and len(self.data.items("train")):
            rows[MOST_FREQUENT] = self._most_frequent()
        if self.source is not None:
            try:
                rows["mapped prior"] = self._mapped_prior(self.source)
            except InputError as error:
                console.print(f"no prior of {self.source.name}: {error}")
        return rows

    def _most_frequent(self) -> Results:
        """Save the row of each annotator's most frequent class."""
        result = AnnotatorMostFrequent().answer(baseline_inputs(self.data, self.split))
        told = self.split == "train"
        results = self._baseline(MOST_FREQUENT, result.predictions, result.meaning, told=told)
        results = replace(results, notes=(*result.notes, *results.notes))
        write_results(self.out / MOST_FREQUENT / "metrics.json", results)
        return results

    def _prior_of_folds(self, items: Sequence[Item]) -> list[Prediction]:
        every = self.data.prepared.items()
        judged = [item.judged for item in every]
        folds = self.folds or folds_of(self.data.corpus, every.ids(), judged=judged)
        return folds.prior(items, list(every))

    def _baseline(
        self, folder: str, predictions: Sequence[Prediction], meaning: str, *, told: bool = False
    ) -> Results:
        """Save the row of a baseline; `told` says that it is made of these items themselves."""
        count = len({prediction.judged for prediction in predictions})
        overlap = Overlap(count, 0, count, (folder,)) if told else None
        about = replace(self._about("none", "none", meaning), trained_items=overlap)
        return score_and_save(self.out / folder, predictions, self.data.categories, about=about)

    def _mapped_prior(self, source: Source) -> Results:
        own, categories = self.loaded.data, self.data.categories
        own.setup()
        rows = mapped_prior(
            self.data.items(self.split),
            train=own.items("train"),
            trained=source.categories,
            categories=categories,
        )
        about = self._about("none", "none", f"mean distribution of {source.name}'s training split, mapped")
        return score_and_save(self.out / "mapped_prior", rows, categories, about=self._cross_domain(about))

    def _about(self, readout: str, reasoning: Reasoning, policy: str) -> About:
        corpus = self.data.corpus
        metrics = corpus.table_metrics
        return About(
            corpus.name,
            self.split,
            readout,
            reasoning,
            policy,
            table_metrics=metrics,
            part=corpus.part_or_target,
        )

    def _about_policy(self, label: str) -> About:
        model = self.loaded.model
        return self._about(model.readout, reasoning_of(model), f"{model.policy.description}, {label}")

    def _of_policy(self, about: About) -> About:
        past = past_of_policy(self.loaded)
        return replace(self._cross_domain(about), trained_items=self.overlap, training=past)

    def _cross_domain(self, about: About) -> About:
        if self.source is None:
            return about
        return replace(about, trained_on=self.source.name, trained_classes=self.source.categories.names)
