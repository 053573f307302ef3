"""The corpus that a command is asked about: a run's own as it was split, or another; its options, and its data."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.corpus_options import ROOT_HELP, option_values
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus, corpus_names, located, open_corpus
from lalm_ambig.data.annotators import EACH, EXAMPLES, Annotators
from lalm_ambig.data.datamodule import DEFAULT_EVAL_BATCH, DataModule, have_same_prompt
from lalm_ambig.readouts.logits import Scoring


def add_corpus_options(
    parser: argparse.ArgumentParser, *, default: str, seed: str, fold: str, option: str
) -> None:
    """Add the options that name a corpus and its split.

    Args:
        parser: Of a command.
        default: Text after the names of corpora in the help of `--corpus`.
        seed: Help of `--seed`.
        fold: End of the help of `--fold`.
        option: End of the help of `--option`.
    """
    parser.add_argument("--corpus", help=f"one of {', '.join(corpus_names())}{default}")
    parser.add_argument("--root", type=Path, help=ROOT_HELP)
    parser.add_argument("--part", help="only this part, where the corpus has parts")
    parser.add_argument("--seed", type=int, help=seed)
    parser.add_argument("--fold", type=int, help=f"one of the five folds, 0 to 4{fold}")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=f"another setting of the corpus{option}",
    )
    parser.add_argument(
        "--annotators",
        choices=("together", EACH),
        help="answer an item for all its annotators together, or for each alone (default: the run's, or together)",
    )
    parser.add_argument(
        "--annotator-examples",
        type=int,
        metavar="N",
        help="with --annotators each: training items whose ratings by that annotator are in the prompt (default: as "
        f"the run has it, or {EXAMPLES})",
    )


def chosen_corpus(options: argparse.Namespace, cli: Cli | None) -> Corpus:
    """Return the corpus that `--corpus` names.

    For the run's own corpus, settings without an option are the run's: root, part, seed, fold and options.

    Args:
        options: `corpus`, `root`, `part`, `seed`, `fold` and `option`.
        cli: The run's configuration; None without a run.
    """
    named = {"part": options.part, "seed": options.seed, "fold": options.fold}
    settings: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    settings |= option_values(options.option)
    if cli is None or not is_run_corpus(options, cli.datamodule.corpus):
        return open_corpus(options.corpus, options.root, **settings)
    settings = {**corpus_settings(cli), **settings}
    root = settings.pop("root", None)
    return open_corpus(options.corpus, root if options.root is None else options.root, **settings)


def corpus_settings(cli: Cli) -> dict[str, Any]:
    """The settings by which a configuration opens its corpus."""
    settings: dict[str, Any] | None = cli.datamodule.corpus.original_settings
    return cli.config["data"]["corpus"]["init_args"].as_dict() if settings is None else dict(settings)


def is_run_corpus(options: argparse.Namespace, corpus: Corpus) -> bool:
    """Whether the options name a run's corpus, perhaps in another folder."""
    if options.corpus != corpus.name:
        return False
    if options.root is None or corpus.ids_are_global:
        return True
    _, place = located(options.root)
    root = place.resolve()
    moved = root.is_file() and corpus.root.name in (root.name, place.name)
    return moved or root == corpus.root.resolve()


def unchanged_corpus(
    options: argparse.Namespace, corpus: Corpus, *, command: str, owner: str, fixed: Sequence[str]
) -> Corpus:
    """Return a run's corpus as it is.

    Args:
        options: The command's.
        corpus: The run's corpus.
        command: Name of the command.
        owner: `run` or `configuration`.
        fixed: Names of options that would change the corpus.

    Raises:
        InputError: One of these options was given.
    """
    changing = [name for name in fixed if vars(options)[name] not in (None, [])]
    if changing:
        raise InputError(
            f"--{changing[0]} goes with --corpus, and the {owner}'s own corpus is taken as it is:",
            where=command,
            remedy=f"leave it out, or name the corpus (--corpus {corpus.name}).",
        )
    return corpus


def chosen_data(  # noqa: PLR0913  # what a command is asked about
    options: argparse.Namespace,
    corpus: Corpus,
    *,
    run_data: DataModule | None,
    scoring: Scoring,
    eval_batch_size: int | Literal["auto"] = DEFAULT_EVAL_BATCH,
    prompts: bool = True,
) -> DataModule:
    """Return the data of a corpus that a command is asked about.

    The prompt is that of `--prompt`, or the run's where it suits the corpus, or the corpus's.

    Args:
        options: `annotators`, `annotator_examples`, `prompt`, `limit` and `skip_long`.
        corpus: The corpus.
        run_data: The data of the run or configuration; None without one.
        scoring: How class names are scored.
        eval_batch_size: Items in a batch, or `auto`.
        prompts: Whether prompts are made; without any, no earlier ratings are looked for.
    """
    words = run_data
    if options.prompt or (run_data is not None and not have_same_prompt(run_data.corpus, corpus)):
        words = None
    annotators, examples = _annotators(options, run_data)
    return DataModule(
        corpus,
        eval_batch_size=eval_batch_size,
        annotators=annotators,
        annotator_examples=examples if prompts or examples is None else min(examples, 0),
        prompt=options.prompt if words is None else words.given_prompt,
        glosses=None if words is None else words.glosses,
        rationale_part="all" if run_data is None else run_data.rationale_part,
        scoring=scoring,
        limit=options.limit,
        skip_long=options.skip_long or (run_data is not None and run_data.skip_long),
    )


def _annotators(options: argparse.Namespace, run_data: DataModule | None) -> tuple[Annotators, int | None]:
    """Who is asked, and how many earlier ratings a prompt has; None for no number of its own."""
    as_run = "together" if run_data is None else run_data.annotators
    annotators: Annotators = options.annotators or as_run
    given: int | None = options.annotator_examples
    if given is not None or annotators != EACH:
        return annotators, given
    return annotators, EXAMPLES if run_data is None else run_data.annotator_examples
