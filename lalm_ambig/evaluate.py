"""Evaluate a trained or untrained policy on a corpus, and keep its predictions: `python -m lalm_ambig.evaluate`."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lalm_ambig.baselines.mapped_prior import mapped_prior
from lalm_ambig.baselines.prior import prior
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.corpora.base import Corpus, corpus_names, open_corpus
from lalm_ambig.corpora.options import option_values
from lalm_ambig.data import DataModule
from lalm_ambig.errors import InputError, run_command
from lalm_ambig.evaluation.literature import literature
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Reasoning, Results
from lalm_ambig.evaluation.table import ambiguity_table, main_table
from lalm_ambig.runs import quiet
from lalm_ambig.runs.evaluation import keep, predict, reasoning_of
from lalm_ambig.runs.loading import Loaded, Source, add_policy_options, load, source_of
from lalm_ambig.runs.session import connect
from lalm_ambig.types import SPLITS, Split


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict a split, write metrics.json and predictions.jsonl, and print the table beside uniform and prior."""
    quiet.silence()
    console = Console()
    options = _parser().parse_args(arguments)
    loaded = load(options)
    data = _data(loaded, options)
    source = source_of(loaded, data.corpus)
    connect(loaded.model, data, adapter=loaded.adapter, trained=None if source is None else source.categories)
    count = len(data.items(options.split))
    if not count:
        raise InputError(f"split {options.split} has no items.", where=f"corpus {data.corpus.name}")
    console.print(f"{loaded.label} on {count} items of {data.corpus.name}, {options.split} split")
    rows = Rows(loaded, data, source, options.split, options.out)
    results = {**rows.baselines(console), **rows.policy(options.samples)}
    console.print(main_table(results).rich(narrow=True), ambiguity_table(results).rich())
    if len(options.samples) > 1:
        console.print(f"what averaging costs: {rows.costs()}")
    if options.literature:
        console.print(*_literature(data.corpus))
    console.print(f"metrics.json and predictions.jsonl: {options.out}")
    return 0


@dataclass(frozen=True)
class Rows:
    """The rows of the table: the policy on a split, and what is known without listening."""

    loaded: Loaded
    data: DataModule
    source: Source | None
    """What the policy was trained on, where it is another corpus."""
    split: Split
    out: Path
    seconds: dict[int, float] = field(default_factory=dict)
    """Time an item took, by number of samples."""

    def policy(self, samples: Sequence[int]) -> dict[str, Results]:
        """What the policy answers, greedily or as the mean of so many sampled responses; one row for each number, the
        first in `out` itself."""
        found: dict[str, Results] = {}
        for count in dict.fromkeys(samples):
            label = self.loaded.label if count == 1 else f"{self.loaded.label}, mean of {count} samples"
            found[label] = self._policy(count, self.out if not found else self.out / f"samples_{count}")
        return found

    def _policy(self, samples: int, folder: Path) -> Results:
        model = self.loaded.model
        model.generation = replace(model.generation, samples=samples)
        trainer = self.loaded.cli.make_trainer(logger=False, enable_checkpointing=False, callbacks=[])
        about = self._about(
            model.readout, reasoning_of(model), f"{model.policy.describe}, {self.loaded.label}"
        )
        start = time.perf_counter()
        rows = predict(trainer, model, self.data, self.split)
        self.seconds[samples] = (time.perf_counter() - start) / len(rows)
        about = replace(self._cross_domain(about), samples=samples)
        return keep(folder, rows, self.data.categories, about=about)

    def costs(self) -> str:
        """Seconds an item, by number of samples."""
        return ", ".join(
            f"{'greedy' if count == 1 else f'{count} samples'} {seconds:.2f} s an item"
            for count, seconds in self.seconds.items()
        )

    def baselines(self, console: Console) -> dict[str, Results]:
        """Uniform; the prior of the corpus itself, where it has training items; and in cross-domain that of the
        corpus which was trained on. The console is told why that one is missing."""
        items, train = self.data.items(self.split), self.data.items("train")
        found = {"uniform": self._baseline("uniform", uniform(items), "every class equally likely")}
        if len(train):
            label = "prior" if self.source is None else "in-domain prior"
            meaning = f"mean distribution of {self.data.corpus.name}'s training split"
            found[label] = self._baseline("prior", prior(items, train=train), meaning)
        if self.source is not None:
            try:
                found["mapped prior"] = self._mapped_prior(self.source)
            except InputError as error:
                console.print(f"no prior of {self.source.name}: {error}")
        return found

    def _baseline(self, folder: str, predictions: Sequence[Prediction], meaning: str) -> Results:
        about = self._about("none", "none", meaning)
        return keep(self.out / folder, predictions, self.data.categories, about=about)

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
        return keep(self.out / "mapped_prior", rows, categories, about=self._cross_domain(about))

    def _about(self, readout: str, reasoning: Reasoning, policy: str) -> About:
        corpus = self.data.corpus
        return About(corpus.name, self.split, readout, reasoning, policy, table_metrics=corpus.table_metrics)

    def _cross_domain(self, about: About) -> About:
        if self.source is None:
            return about
        return replace(about, trained_on=self.source.name, trained_classes=self.source.categories.names)


def _data(loaded: Loaded, options: argparse.Namespace) -> DataModule:
    own = loaded.data
    configured = options.run or options.config
    corpus = own.corpus if options.corpus is None and configured else _corpus(options)
    as_trained = configured and not options.prompt and corpus.prompt == own.corpus.prompt
    return DataModule(
        corpus,
        eval_batch_size=options.batch_size or own.eval_batch_size,
        prompt=own.prompt if as_trained else options.prompt,
        glosses=own.glosses if as_trained else None,
        scoring=own.scoring,
        limit=options.limit,
    )


def _corpus(options: argparse.Namespace) -> Corpus:
    if options.corpus is None:
        raise InputError("--corpus is missing: which corpus is to be evaluated?", where="evaluate")
    chosen = {"part": options.part, "seed": options.seed, "fold": options.fold}
    given = {name: value for name, value in chosen.items() if value is not None}
    return open_corpus(options.corpus, options.root, **given, **option_values(options.option))


def _literature(corpus: Corpus) -> list[Table | str]:
    """What papers report on a corpus, or that nothing is known."""
    found: list[Table | str] = [grid.rich() for grid in literature(corpus.name, corpus.part)]
    return found or [f"no figures of papers are known for {corpus.name}"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lalm_ambig.evaluate", description=__doc__)
    add_policy_options(parser)
    parser.add_argument("--corpus", help=f"one of {', '.join(corpus_names())} (default: the run's own)")
    parser.add_argument("--root", type=Path, help="folder of the corpus (a file for jsonl; demo needs none)")
    parser.add_argument("--part", help="only this part, where the corpus has parts")
    parser.add_argument("--seed", type=int, help="seed of the split (default 0)")
    parser.add_argument(
        "--fold", type=int, help="one of the five folds, 0 to 4, in place of the single split"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="another setting of the corpus"
    )
    parser.add_argument("--split", choices=SPLITS, default="test", help="which items (default: test)")
    parser.add_argument(
        "--samples",
        type=int,
        nargs="+",
        default=[1],
        metavar="N",
        help="mean distribution of N sampled responses in place of the greedy one (1); several numbers: a row for each",
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="items in a batch")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N items of each split")
    parser.add_argument(
        "--literature", action="store_true", help="print what papers report on that corpus, below the tables"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for metrics.json and predictions.jsonl"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
