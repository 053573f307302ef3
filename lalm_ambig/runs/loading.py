"""A policy to be evaluated or asked: one that a run has trained, or a base model as it is."""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.config.trust import add_allow_option, allowed
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Readout
from lalm_ambig.methods.base import Method
from lalm_ambig.runs.folder.run_folder import RunFolder, open_run

SKIP_LONG = (
    "leave items out, counted and listed, that are too long for the model together with its longest response"
)
"""Help of an option that commands share."""
LIMIT = "only N items of each split: a fixed sample in which speakers, parts and majority classes have their shares"
"""The same of another."""


@dataclass(frozen=True)
class Loaded:
    """A method around a policy that is not yet read from disk, and what it was."""

    cli: Cli
    adapter: Path | None
    """Trained weights; None for a base model."""
    label: str
    """For tables: the run's name, or `base`."""
    run: RunFolder | None = None
    """The run whose policy it is."""

    @property
    def model(self) -> Method:
        model: Method = self.cli.model
        return model

    @property
    def data(self) -> DataModule:
        """The run's own data, of which nothing is read yet; for a base model a demo, to hold defaults."""
        data: DataModule = self.cli.datamodule
        return data


@dataclass(frozen=True)
class Source:
    """The corpus that a policy was trained on."""

    name: str
    categories: CategorySet


def source_of(loaded: Loaded, target: Corpus) -> Source | None:
    """What the policy was trained on, where that is another corpus than `target` (A, Table 3); else None.

    Another is: one of another name, or with other classes, another part of it than the one that was trained on, or
    another file of JSON Lines. A base model has none.
    InputError where the classes stood in a file that is gone.
    """
    own = loaded.data.corpus
    if loaded.adapter is None or own is target:
        return None
    if own.name == target.name and own.part is not None and own.part != target.part:
        return Source(f"{own.name} ({own.part})", own.categories)
    alike = own.name == target.name and (not target.root.is_file() or own.root.name == target.root.name)
    try:
        categories = own.categories
    except InputError as error:
        if alike:  # the same file, in another place
            return None
        raise InputError(
            f"the classes that {loaded.label} was trained on cannot be read: {error}", where="--run"
        ) from error
    if alike and categories == target.categories:
        return None
    return Source(own.name if own.name != target.name else f"{own.name} ({own.root.name})", categories)


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """The options by which a command takes a policy."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--run", type=Path, metavar="DIR", help="a run folder of fit: its policy, adapter and prompt"
    )
    which.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="a whole configuration as fit takes it, e.g. configs/paper/shala/chaosnli_zero_shot.yaml, untrained",
    )
    which.add_argument(
        "--policy", type=Path, metavar="YAML", help="a base model, untrained, e.g. configs/policy/tiny.yaml"
    )
    add_allow_option(parser)
    add_path_option(parser)
    parser.add_argument(
        "--prompt",
        help="stem of a prompt in lalm_ambig/prompts or a .txt file (default: the run's, or the corpus's)",
    )
    parser.add_argument(
        "--reasoning",
        action=argparse.BooleanOptionalAction,
        help="reason before answering (default: as the run was trained; without a run, no)",
    )
    parser.add_argument(
        "--readout",
        choices=get_args(Readout),
        help="read the class names' logits, or a distribution that the response states as JSON (default: as the run "
        "was trained; without a run, logits)",
    )
    parser.add_argument(
        "--max-new-tokens", type=int, metavar="N", help="longest reasoning or verbalised answer in tokens"
    )
    parser.add_argument(
        "--precision", help="as Lightning's trainer takes it, e.g. bf16-mixed (default: the run's)"
    )


def add_path_option(parser: argparse.ArgumentParser) -> None:
    """The option that names another place of the base model than the configuration does."""
    parser.add_argument(
        "--policy.path",
        dest="policy_path",
        metavar="FOLDER",
        help="where the base model is on this machine, if not where the run or the configuration has it",
    )


def path_arguments(options: argparse.Namespace) -> list[str]:
    """The same option as `fit` takes it."""
    path = vars(options).get("policy_path")
    return [] if path is None else [f"--policy.path={path}"]


def load(options: argparse.Namespace) -> Loaded:
    """What the options name; InputError where it is no run, has no trained weights, or is no configuration."""
    folder, more = config_folder(), [*path_arguments(options), *allowed(options)]
    if options.run is not None:
        run = open_run(options.run)
        if not run.adapter.is_dir():
            raise InputError(
                f"{run.path} has no adapter yet: its training has not ended.",
                where="--run",
                remedy="Run fit again; it goes on.",
            )
        loaded = Loaded(parse([f"--config={run.config}", *more]), run.adapter, run.path.name, run)
    elif options.config is not None:
        loaded = Loaded(parse([f"--config={options.config}", *_rooted(options), *more]), None, "base")
        loaded.model.start = None  # the base model, whatever training would start from
    else:
        method = "sft" if options.reasoning else "sft_kl_only"
        files = [options.policy, folder / "data/demo.yaml", folder / f"method/{method}.yaml"]
        loaded = Loaded(parse([*(f"--config={file}" for file in files), *more]), None, "base")
    _override(loaded, options)
    if note := loaded.cli.use_what_is_there():
        print(f"{loaded.label}: {note}", file=sys.stderr)
    loaded.cli.check_precision(training=False)
    return loaded


def _rooted(options: argparse.Namespace) -> list[str]:
    """The corpus's folder, where a command takes one."""
    root = vars(options).get("root")
    return [] if root is None else [f"--data.corpus.init_args.root={root}"]


def _override(loaded: Loaded, options: argparse.Namespace) -> None:
    model = loaded.model
    if options.reasoning is not None:
        model.reasoning = options.reasoning
    if options.readout is not None:
        model.readout = options.readout
    if options.max_new_tokens is not None:
        model.generation = replace(model.generation, max_new_tokens=options.max_new_tokens)
    if options.precision is not None:
        loaded.cli.config_init["trainer"]["precision"] = options.precision
