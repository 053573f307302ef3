"""The corpus that a command is asked about: a run's own as it was split, or another."""

import argparse
from typing import Any

from lalm_ambig.config.cli import Cli
from lalm_ambig.config.corpus_options import option_values
from lalm_ambig.corpora.base import Corpus, open_corpus


def asked_corpus(options: argparse.Namespace, cli: Cli | None) -> Corpus:
    """The corpus that `--corpus` names. Where it is the run's own, what is not said is as the run has it: root, part,
    seed, fold and options.

    Args:
        options: `corpus`, `root`, `part`, `seed`, `fold` and `option`.
        cli: The run's configuration; None without a run.
    """
    chosen = {"part": options.part, "seed": options.seed, "fold": options.fold}
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    given |= option_values(options.option)
    if cli is None or not is_own(options, cli.datamodule.corpus):
        return open_corpus(options.corpus, options.root, **given)
    own = {**own_settings(cli), **given}
    root = own.pop("root", None)
    return open_corpus(options.corpus, root if options.root is None else options.root, **own)


def own_settings(cli: Cli) -> dict[str, Any]:
    """How a configuration opens its corpus."""
    found: dict[str, Any] = cli.config["data"]["corpus"]["init_args"].as_dict()
    return found


def is_own(options: argparse.Namespace, own: Corpus) -> bool:
    """Whether the corpus that is named is the run's, if perhaps in another place."""
    if options.corpus != own.name:
        return False
    root = own.root if options.root is None else options.root.expanduser().resolve()
    moved = root.is_file() and root.name == own.root.name
    return own.ids_are_global or moved or root == own.root.resolve()
