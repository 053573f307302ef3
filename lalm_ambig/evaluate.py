"""Evaluate a trained or untrained policy on a corpus, and keep its predictions: `python -m lalm_ambig.evaluate`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lalm_ambig.baselines.prior import prior
from lalm_ambig.corpora.base import Corpus, corpus_names, open_corpus
from lalm_ambig.corpora.options import option_values
from lalm_ambig.data import DataModule
from lalm_ambig.errors import InputError, run_command
from lalm_ambig.evaluation.results import About, Results
from lalm_ambig.evaluation.table import rich_table
from lalm_ambig.runs import quiet
from lalm_ambig.runs.evaluation import keep, predict, reasoning_of
from lalm_ambig.runs.loading import Loaded, add_policy_options, load
from lalm_ambig.runs.session import connect
from lalm_ambig.types import SPLITS


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict a split, write metrics.json and predictions.jsonl, and print the table beside the prior."""
    quiet.silence()
    console = Console()
    options = _parser().parse_args(arguments)
    loaded = load(options)
    data = _data(loaded, options)
    connect(loaded.model, data, adapter=loaded.adapter)
    count = len(data.items(options.split))
    if not count:
        raise InputError(f"split {options.split} has no items.", where=f"corpus {data.corpus.name}")
    console.print(f"{loaded.label} on {count} items of {data.corpus.name}, {options.split} split")
    results = _results(loaded, data, options)
    console.print(rich_table(results))
    console.print(f"metrics.json and predictions.jsonl: {options.out}")
    return 0


def _results(loaded: Loaded, data: DataModule, options: argparse.Namespace) -> dict[str, Results]:
    model, split, corpus = loaded.model, options.split, data.corpus.name
    trainer = loaded.cli.make_trainer(logger=False, enable_checkpointing=False, callbacks=[])
    predictions = predict(trainer, model, data, split)
    about = About(corpus, split, "logits", reasoning_of(model), f"{model.policy.describe}, {loaded.label}")
    results = {loaded.label: keep(options.out, predictions, data.categories, about=about)}
    train, items = data.items("train"), data.items(split)
    if len(train):
        rows = prior(items, train=train)
        source = About(corpus, split, "none", "none", "mean distribution of the training split")
        results = {"prior": keep(options.out / "prior", rows, data.categories, about=source), **results}
    return results


def _data(loaded: Loaded, options: argparse.Namespace) -> DataModule:
    own: DataModule = loaded.cli.datamodule
    corpus = own.corpus if options.corpus is None and options.run else _corpus(options)
    prompt = options.prompt or (own.prompt if options.run and corpus.prompt == own.corpus.prompt else None)
    size = options.batch_size or own.eval_batch_size
    return DataModule(corpus, eval_batch_size=size, prompt=prompt, limit=options.limit)


def _corpus(options: argparse.Namespace) -> Corpus:
    if options.corpus is None:
        raise InputError("--corpus is missing: which corpus is to be evaluated?", where="evaluate")
    chosen = {"part": options.part, "seed": options.seed, "fold": options.fold}
    given = {name: value for name, value in chosen.items() if value is not None}
    return open_corpus(options.corpus, options.root, **given, **option_values(options.option))


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
    parser.add_argument("--batch-size", type=int, metavar="N", help="items in a batch")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N items of each split")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for metrics.json and predictions.jsonl"
    )
    return parser


if __name__ == "__main__":
    run_command(main)
