"""Configuration of a run: YAML files that stack, with options over them, parsed into the run's objects.

Four files make a run: `base.yaml` (always), one of `policy/`, one of `data/`, one of `method/`. A command that chooses
none of the three uses the embedded defaults: the tiny model on the demo corpus. Options win over files.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from jsonargparse import ArgumentError, Namespace, set_parsing_settings
from lightning.pytorch import seed_everything
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lalm_ambig.config.devices import check_devices, what_is_there
from lalm_ambig.config.errors import UNION, readable
from lalm_ambig.config.estimate_option import Assumptions, EstimateOptions
from lalm_ambig.config.files import default_files, in_order, read_ahead
from lalm_ambig.config.hub_root import name_address, with_commit
from lalm_ambig.config.identity import identity_of
from lalm_ambig.config.loggers import logger_names
from lalm_ambig.config.precision import (
    AUTO,
    check_name,
    check_precision,
    chosen_precision,
    precision_notes,
)
from lalm_ambig.config.renamed import renamed_options
from lalm_ambig.config.run_options import KEYS, add_run_options, find_steps, fold_numbers, seed_numbers
from lalm_ambig.config.seed import HELP as SEED_HELP
from lalm_ambig.config.seed import NAMES as SEED_NAMES
from lalm_ambig.config.seed import check_names, check_trainable, run_seed, seeded, without_followers
from lalm_ambig.config.short_names import expanded
from lalm_ambig.config.spelling import spelled_options
from lalm_ambig.config.sweep import Axis, axes_of
from lalm_ambig.config.trainer_help import TRAINER_HELP, print_trainer_help
from lalm_ambig.config.training_end import check_has_end
from lalm_ambig.config.trust import Trust, check_addresses, current
from lalm_ambig.core import distributed
from lalm_ambig.core.door import shown
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.library_errors import over_settings
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy

USAGE = "lalm-ambig fit [--policy NAME] [--data NAME] [--method NAME] [--KEY VALUE ...]"
DESCRIPTION = (
    "Train a policy on a corpus and evaluate it on the validation split; with --test also on the test split, which",
    "is not looked at otherwise. The same command goes on with a run that was interrupted.",
)
EXAMPLES = (
    "  lalm-ambig fit --test",
    "  lalm-ambig fit --policy qwen2_audio --data crema_d --method grpo --data.corpus.root ~/CREMA-D",
    "  lalm-ambig fit --preset demo_grpo --model.start runs/NAME --model.optimiser.learning_rate 3e-5",
)
SECRET = re.compile(r"(api_?key|token|secret|password)$", re.IGNORECASE)


@dataclass(frozen=True)
class RunSettings:
    """Where a run is kept, and how often its state is saved."""

    root: Path = Path("runs")
    """Folder of all runs."""
    name: str | None = None
    """Folder of this run under the root, without a slash. The default is corpus, policy, method and a hash of the
    configuration, so that the same command resumes the same run."""
    checkpoint_steps: int = 50
    """Save the state to resume from every so many optimiser steps."""
    samples: int = 4
    """Responses shown and kept at each validation."""
    probe: bool = True
    """Whether the table has a row of a linear probe on the base model's features. Features that are not cached take one
    pass over the items before training."""
    rollout_steps: int = 25
    """Show and keep the sampled responses of one item every so many optimiser steps, if the method samples any."""
    gradient_steps: int = 50
    """Measure every so many optimiser steps, from the first on, how the loss's terms compare and whether the update is
    noise, if the method samples responses; 0 for never. It takes one more backward pass per term and half of the
    update. Not measured with divided weights (FSDP2, DeepSpeed) and under full fine-tuning."""

    patience: int | None = None
    """Stop early after so many validations in a row without a better one than the best so far, the start's included, by
    the metric that chooses the checkpoint. By default training runs to its end."""

    def __post_init__(self) -> None:
        for name in ("checkpoint_steps", "rollout_steps", "patience"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}", where="run")
        if self.gradient_steps < 0:
            raise InputError(f"gradient_steps must be at least 0, got {self.gradient_steps}", where="run")


class Cli(LightningCLI):
    """LightningCLI with a policy and the run's options beside trainer, model and data."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_class_arguments(RunSettings, "run")
        parser.add_subclass_arguments(Policy, "policy", required=True)
        parser.link_arguments("policy", "model.init_args.policy", apply_on="instantiate")
        precision: Any = parser._option_string_actions["--trainer.precision"]
        precision._typehint = Literal[AUTO] | precision._typehint  # Lightning has no such name
        add_run_options(parser)

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the run's seed under both of its names.

        Args:
            parser: The parser of a configuration.
        """
        parser.add_argument(*(f"--{name}" for name in SEED_NAMES), type=bool | int, default=0, help=SEED_HELP)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse as Lightning does, without its warning about arguments that the shell did not give.

        Args:
            parser: The parser of a configuration.
            args: The words of the command line.
        """
        self.config = with_commit(_name_devices(parser.parse_args(args)))
        if (trainer := self.config["trainer"])["precision"] == AUTO:
            weights = (self.config["policy"].init_args or {}).get("dtype")
            trainer["precision"] = chosen_precision(vars(trainer), weights)
        self.trust = current()
        check_addresses(trainer)
        check_has_end(vars(trainer))

    def _set_seed(self) -> None:
        seed_everything(run_seed(self.config), workers=True)

    def instantiate_classes(self) -> None:
        """Make policy, model and data. The trainer is made later, when the run's folder is known."""
        self.config_init = self.parser.instantiate(seeded(self.config))
        self.datamodule = self.config_init["data"]
        self.model = self.config_init["model"]

    @property
    def folds(self) -> list[int] | None:
        """The folds of `--folds`; None without the option.

        Raises:
            InputError: The value is neither `all` nor numbers of folds.
        """
        return fold_numbers(self.config["folds"])

    @property
    def seeds(self) -> list[int] | None:
        """The seeds of `--seeds`; None without the option.

        Raises:
            InputError: A value is no whole number from 0.
        """
        return seed_numbers(self.config["seeds"])

    @property
    def sweep(self) -> tuple[Axis, ...] | None:
        """The keys of `--sweep` with their values; None without the option.

        Raises:
            InputError: A word is no KEY=V1,V2.
        """
        return axes_of(self.config["sweep"])

    def tests_chosen(self) -> None:
        """Make this the run that a sweep has chosen: the test split is evaluated, as without the sweep."""
        self.config["sweep"], self.config["test"] = None, True

    @property
    def loggers(self) -> tuple[str, ...] | None:
        """The loggers of `--logger` beside metrics.csv; None without the option.

        Raises:
            InputError: A name is unknown.
        """
        return logger_names(self.config["logger"])

    @property
    def shows_test(self) -> bool:
        """Whether the run's own test table is shown (`--test`); never that of a sweep's run before it is chosen."""
        return bool(self.config["test"]) and self.config["sweep"] is None

    @property
    def tests(self) -> bool:
        """Whether the test split is evaluated: with `--test`, and in a family, whose table comes at its end.

        A sweep chooses by validation, and looks at the test split of no run before.
        """
        if self.config["sweep"] is not None:
            return False
        return self.shows_test or self.folds is not None or self.seeds is not None

    @property
    def find_steps(self) -> int | None:
        """The updates of `--find-lr`; None without the option.

        Raises:
            InputError: There are too few.
        """
        return find_steps(self.config["find_lr"])

    @property
    def assumptions(self) -> Assumptions | None:
        """The assumptions of `--estimate`; None without the option.

        Raises:
            InputError: A value is not a positive number.
        """
        options = self.config["estimate"]
        return None if options is None else EstimateOptions(**vars(options)).assumptions()

    @property
    def allows_trained_items(self) -> bool:
        """Whether the test may include items that the start was trained on."""
        return bool(self.config["allow_trained_items"])

    def check_precision(self, *, training: bool) -> None:
        """Check, before weights are read, that the trainer's precision fits the policy's weights.

        Args:
            training: Whether weights will be trained.

        Raises:
            InputError: The precision does not fit the weights, or the base model cannot be reached.
        """
        policy, trainer = self.model.policy, vars(self.config_init["trainer"])
        policy.check_reachable()
        check_precision(policy, trainer, training=training)
        for note in precision_notes(policy, trainer) if distributed.is_first() else ():
            print(note, file=sys.stderr)

    def check_seed(self) -> None:
        """Check that the run has one seed, before it is trained.

        Raises:
            InputError: The seed is no number, or a part of the configuration sets another one.
        """
        check_trainable(self.config)

    def check_devices(self) -> None:
        """Check that this machine has the devices that training asks for.

        Raises:
            InputError: A device is missing, or a setting of the trainer is out of range.
        """
        check_devices(vars(self.config_init["trainer"]))

    def use_what_is_there(self) -> str | None:
        """Set the trainer to predict on this machine's devices, if it lacks those that training used.

        Returns:
            A line about the change of device; None without one.
        """
        return what_is_there(vars(self.config_init["trainer"]))

    def make_trainer(self, **settings: Any) -> Any:
        """Make Lightning's trainer as configured.

        Args:
            **settings: Settings of the trainer; they replace configured ones.

        Returns:
            The trainer.

        Raises:
            InputError: Lightning refuses a setting.
        """
        check_name(self.config_init["trainer"]["precision"])
        try:
            trainer: Any = self.instantiate_trainer(**settings)
        except Exception as error:
            explanation = over_settings(error)
            if explanation is None:
                raise
            raise InputError(explanation, where="trainer", remedy="(--help lists every key)") from error
        # Batches are records whose parts are cast where they are used; targets stay in float32 whatever the precision.
        trainer.precision_plugin.convert_input = lambda batch: batch
        return trainer

    def resolved(self) -> str:
        """Return the full configuration as YAML, with secrets blanked out.

        Returns:
            YAML text, without the options that belong to one call.
        """
        with self.trust():
            text = self.parser.dump(without_followers(self.config), skip_link_targets=True, skip_unset=False)
        content = {key: value for key, value in yaml.safe_load(text).items() if key not in KEYS}
        name_address(content)
        return str(yaml.safe_dump(_without_secrets(content), sort_keys=False))

    def identity(self) -> str:
        """Return the run's identity, a hash of every setting that changes the result (see `identity_of`).

        Returns:
            Eight hexadecimal digits.
        """
        return identity_of(yaml.safe_load(self.resolved()))


def parse(arguments: Sequence[str], **cli_settings: Any) -> Cli:
    """Parse command-line arguments into a configuration and its objects.

    Args:
        arguments: The words of the command line.
        **cli_settings: Further settings of LightningCLI.

    Returns:
        The configuration with its policy, method and data module; nothing is loaded.

    Raises:
        InputError: A key is unknown, a value is wrong, a kind has no file, or a class is not trusted.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    if TRAINER_HELP in arguments:
        print_trainer_help()
        sys.exit(0)
    yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.value))
    words = in_order(expanded(spelled_options(renamed_options(arguments))))
    files, allow_any = read_ahead(words)
    check_names(words, files)
    stacked = [*default_files(files, words), *words]
    try:
        with Trust(words, files, allow_any=allow_any)():
            return Cli(
                Method,
                DataModule,
                subclass_mode_model=True,
                save_config_callback=None,
                run=False,
                args=stacked,
                auto_configure_optimizers=False,
                parser_kwargs=_parser_settings(),
                **cli_settings,
            )
    except ArgumentError as error:
        raise InputError(
            readable(str(error)), where="configuration", remedy="(--help lists every key)"
        ) from error
    except Exception as error:
        if isinstance(error, InputError):
            raise
        explanation = readable(str(error)) if str(error).startswith(UNION) else over_settings(error)
        if explanation is None:
            raise
        raise InputError(explanation, where="configuration") from error


def _parser_settings() -> dict[str, Any]:
    return {
        "exit_on_error": False,
        "allow_abbrev": False,
        "description": " ".join(DESCRIPTION),
        "usage": shown(USAGE),
    }


def _name_devices(value: Any) -> Any:
    """Replace devices by their names, in place. Some of Lightning's callbacks have a device as a default.

    YAML cannot hold a device.
    """
    if isinstance(value, Namespace):
        for key, inner in vars(value).items():
            value[key] = _name_devices(inner)
    elif isinstance(value, list):
        value[:] = [_name_devices(inner) for inner in value]
    return str(value) if isinstance(value, torch.device) else value


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: None if SECRET.search(str(k)) else _without_secrets(v) for k, v in value.items()}
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def namespace_name(config: Namespace, kind: str) -> str:
    """Return the class name of a configured part, in lower case, for the name of a run.

    Args:
        config: The parsed configuration.
        kind: Key of the part, such as `policy`.

    Returns:
        The last part of its class path.
    """
    return str(config[kind].class_path).rsplit(".", 1)[-1].lower()
