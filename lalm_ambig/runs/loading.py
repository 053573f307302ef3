"""The policy that a command evaluates or asks: trained by a run, or a base model."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.files import ALLOW_FLAG
from lalm_ambig.config.precision import AUTO, chosen_precision
from lalm_ambig.config.trust import add_allow_option
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Readout
from lalm_ambig.evaluation.about import PROMPTED, SAMPLED
from lalm_ambig.methods.base import Method
from lalm_ambig.runs.folder.exported import (
    ExportRecord,
    changed_prompts,
    check_config,
    prompt_words,
    read_record,
)
from lalm_ambig.runs.folder.run_folder import RunFolder, open_run

SKIP_LONG = (
    "leave items out, counted and listed, that are too long for the model together with its longest response"
)
"""Help of `--skip-long`."""
LIMIT = "only N items of each split: a fixed sample in which speakers, parts and majority classes have their shares"
"""Help of `--limit`."""


@dataclass(frozen=True)
class Loaded:
    """A method around a policy, which is not read from disk yet, and where it is from."""

    cli: Cli
    adapter: Path | None
    """Trained weights that are read beside the base model; None for a base model, and for a merged export."""
    label: str
    """Name in tables: the run's, or `base`."""
    run: RunFolder | None = None
    """The run that trained the policy, or its export."""

    @property
    def is_trained(self) -> bool:
        """Whether a run has trained the policy."""
        return self.adapter is not None or self.run is not None

    @property
    def model(self) -> Method:
        model: Method = self.cli.model
        return model

    @property
    def data(self) -> DataModule:
        """The run's data, which is not read yet. A base model has that of the demo, for its defaults."""
        data: DataModule = self.cli.datamodule
        return data


@dataclass(frozen=True)
class Source:
    """The corpus that a policy was trained on."""

    name: str
    categories: CategorySet


def source_of(loaded: Loaded, target: Corpus) -> Source | None:
    """Return the corpus that the policy was trained on, if that is not `target`.

    This is the cross-domain evaluation of ambiguity-aware LALM, Table 3. A corpus is another one if it has another
    name, other classes, or another part or target than was trained on. So is another file of JSON Lines. A base model
    has none.

    Args:
        loaded: The policy.
        target: The corpus that is evaluated.

    Raises:
        InputError: The classes were in a file that is gone.
    """
    source = loaded.data.corpus
    if not loaded.is_trained or source is target:
        return None
    if source.name == target.name and source.part is not None and source.part != target.part:
        return Source(f"{source.name} ({source.part})", source.categories)
    if source.name == target.name and source.target_name != target.target_name:
        return Source(f"{source.name} ({source.target_name})", source.categories)
    alike = source.name == target.name and (not target.root.is_file() or source.root.name == target.root.name)
    try:
        categories = source.categories
    except InputError as error:
        if alike:  # the same file, in another place
            return None
        raise InputError(
            f"the classes that {loaded.label} was trained on cannot be read: {error}", where="--run"
        ) from error
    if alike and categories == target.categories:
        return None
    name = source.name if source.name != target.name else f"{source.name} ({source.root.name})"
    return Source(name, categories)


def add_policy_options(
    parser: argparse.ArgumentParser, *, sampled: bool = False, required: bool = True
) -> None:
    """Add the options that name a policy and how it answers.

    Args:
        parser: The parser.
        sampled: Whether one-label answers can be sampled, too, and several readouts named.
        required: Whether a policy must be named.
    """
    which = parser.add_mutually_exclusive_group(required=required)
    which.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="a run folder of fit: its policy, adapter and prompt (evaluate: or a family, as runs/NAME-s{seed})",
    )
    which.add_argument(
        "--config",
        type=Path,
        metavar="YAML",
        help="a whole configuration as fit takes it, untrained, e.g. configs/paper/shala/chaosnli_zero_shot.yaml",
    )
    which.add_argument(
        "--policy",
        metavar="NAME",
        help="a base model, untrained: a name as for fit (qwen2_audio), or a YAML file",
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
    _add_readout(parser, sampled=sampled)
    parser.add_argument(
        "--max-new-tokens", type=int, metavar="N", help="longest reasoning or verbalised answer in tokens"
    )
    parser.add_argument(
        "--precision", help="as the trainer takes it, e.g. bf16-mixed, or auto (default: the run's)"
    )


def _add_readout(parser: argparse.ArgumentParser, *, sampled: bool) -> None:
    what = "read the class names' logits, or a distribution that the response states as JSON"
    what += ", or (sampled) the share of each class among one-label answers" if sampled else ""
    parser.add_argument(
        "--readout",
        choices=[*get_args(Readout), *([SAMPLED] if sampled else [])],
        nargs="+" if sampled else None,
        help=f"{what} (default: as the run was trained; without a run, logits)",
    )


def add_path_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the base model's folder on this machine."""
    parser.add_argument(
        "--policy.path",
        dest="policy_path",
        metavar="FOLDER",
        help="where the base model is on this machine, if not where the run or the configuration has it",
    )


def path_arguments(options: argparse.Namespace) -> list[str]:
    """Return the option of `add_path_option` in the form that `fit` takes."""
    path = vars(options).get("policy_path")
    return [] if path is None else [f"--policy.path={path}"]


@dataclass(frozen=True)
class PolicyChoice:
    """A policy that is asked, and how it answers. Exactly one of `run`, `config` and `policy` is given."""

    run: Path | None = None
    """A run folder of fit, or a folder of export."""
    config: Path | None = None
    """A whole configuration, untrained."""
    policy: Path | str | None = None
    """The configuration of a base model, untrained."""
    policy_path: str | None = None
    """Folder or hub id of the base model, if it is not where the run or the configuration has it."""
    root: Path | None = None
    """Folder of the corpus, for a configuration."""
    reasoning: bool | None = None
    """Whether a response reasons before it answers; None as trained."""
    readout: Readout | None = None
    """None as trained."""
    max_new_tokens: int | None = None
    """Longest reasoning or verbalised answer; None as trained."""
    precision: str | None = None
    """As Lightning's trainer takes it; None as trained."""
    allow_any_class: bool = False
    """Whether the configuration may name classes of other packages, whose code then runs."""

    @property
    def words(self) -> list[str]:
        """Options that every configuration is parsed with."""
        path = [] if self.policy_path is None else [f"--policy.path={self.policy_path}"]
        return [*path, *([ALLOW_FLAG] if self.allow_any_class else [])]


def chosen_policy(options: argparse.Namespace) -> PolicyChoice:
    """Return the policy that the options of `add_policy_options` name.

    Args:
        options: A command's options.

    Raises:
        InputError: Readouts are named that different prompts ask for.
    """
    return PolicyChoice(
        run=options.run,
        config=options.config,
        policy=options.policy,
        policy_path=options.policy_path,
        root=vars(options).get("root"),
        reasoning=options.reasoning,
        readout=_prompted_readout(options.readout),
        max_new_tokens=options.max_new_tokens,
        precision=options.precision,
        allow_any_class=options.allow_any_class,
    )


def load(choice: PolicyChoice) -> Loaded:
    """Return a method and its policy, whose weights are not read yet.

    Args:
        choice: The policy, and how it answers.

    Raises:
        InputError: There is no such run or configuration, or the run has no trained weights.
    """
    if choice.run is not None:
        loaded = _loaded_run(choice.run, choice)
    elif choice.config is not None:
        root = [] if choice.root is None else [f"--data.corpus.init_args.root={choice.root}"]
        loaded = Loaded(parse([f"--config={choice.config}", *root, *choice.words]), None, "base")
        loaded.model.start = None  # the base model, whatever training would start from
    else:
        method = "sft" if choice.reasoning else "sft_kl_only"
        words = [f"--policy={choice.policy}", "--data=demo", f"--method={method}", *choice.words]
        loaded = Loaded(parse(words), None, "base")
    _override(loaded, choice)
    if note := loaded.cli.use_what_is_there():
        print(f"{loaded.label}: {note}", file=sys.stderr)
    loaded.cli.check_precision(training=False)
    return loaded


def _loaded_run(path: Path, choice: PolicyChoice) -> Loaded:
    run = open_run(path)
    if run.is_export:
        return _loaded_export(run, choice)
    check_trained(run)
    return Loaded(parse([f"--config={run.config}", *choice.words]), run.adapter, run.path.name, run)


def _loaded_export(run: RunFolder, choice: PolicyChoice) -> Loaded:
    """Return the policy of an export, asked as its run was asked."""
    check_config(run.path)
    record = read_record(run.path)
    words = [f"--config={run.config}", *prompt_words(run.path)]
    if record.form == "merged" and record.has_path:
        if choice.policy_path is not None:
            raise InputError(
                f"{run.path} is a merged model, which needs no base model:",
                where="--policy.path",
                remedy="leave it out.",
            )
        words.append(f"--policy.path={run.path}")
    loaded = Loaded(parse([*words, *choice.words]), run.adapter, record.name, run)
    _tell_changed_prompts(loaded, record)
    if record.form == "merged" and record.has_path:
        return replace(loaded, adapter=None)
    return loaded


def _tell_changed_prompts(loaded: Loaded, record: ExportRecord) -> None:
    """Say so where this version asks in other words than those that the policy was trained with."""
    data, model = loaded.data, loaded.model
    asked = data.elicitation(reasoning=model.reasoning, readout=model.readout)
    if changed := changed_prompts(record, asked, data.categories):
        what = "its prompt is not the one it was trained with"
        how = f"this version of lalm_ambig asks about {' and '.join(changed)} in other words"
        print(f"{loaded.label}: {what}: {how}; its answers may be worse.", file=sys.stderr)


def check_trained(run: RunFolder) -> None:
    """Refuse a run whose training has not ended.

    Raises:
        InputError: It has no trained weights.
    """
    if not run.adapter.is_dir():
        raise InputError(
            f"{run.path} has no adapter yet: its training has not ended.",
            where="--run",
            remedy="Run fit again; it goes on.",
        )


def _prompted_readout(asked: str | Sequence[str] | None) -> Readout | None:
    """Return the readout by whose prompt all readouts that were named are asked for."""
    if asked is None:
        return None
    names = [asked] if isinstance(asked, str) else asked
    prompted: dict[Any, None] = dict.fromkeys(PROMPTED.get(readout, readout) for readout in names)
    if len(prompted) > 1:
        raise InputError(
            f"{' and '.join(prompted)} are asked for by different prompts.",
            where="--readout",
            remedy="Evaluate them one by one.",
        )
    readout: Readout
    [readout] = prompted
    return readout


def _override(loaded: Loaded, choice: PolicyChoice) -> None:
    model = loaded.model
    if choice.reasoning is not None:
        model.reasoning = choice.reasoning
    if choice.readout is not None:
        model.readout = choice.readout
    if choice.max_new_tokens is not None:
        model.generation = replace(model.generation, max_new_tokens=choice.max_new_tokens)
    if choice.precision is not None:
        trainer = loaded.cli.config_init["trainer"]
        chooses = choice.precision == AUTO
        trainer["precision"] = (
            chosen_precision(vars(trainer), model.policy.weights_dtype()) if chooses else choice.precision
        )
