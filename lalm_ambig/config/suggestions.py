"""Suggestions for an unknown key or class: the nearest valid names. They are computed only after a mistake."""

import difflib
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

import lightning
import yaml
from lightning.pytorch import loggers

import lalm_ambig.methods
import lalm_ambig.policies
import lalm_ambig.rewards
import lalm_ambig.rollouts.engines
from lalm_ambig.config.callbacks import usable_callbacks
from lalm_ambig.config.estimate_option import EstimateOptions
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.discovery import classes_of
from lalm_ambig.corpora.base import corpus_class, corpus_names
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.help.names import closest
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rollouts.engines.base import Engine

FLAGS = (
    "config",
    "print_config",
    "help",
    "folds",
    "seeds",
    "sweep",
    "find-lr",
    "logger",
    "test",
    "estimate",
    *(f"estimate.{field.name}" for field in fields(EstimateOptions)),
    "allow-trained-items",
    "allow-any-class",
    "policy",
    "model",
    "data",
    "data.corpus",
    "method",
    "preset",
    "hardware",
    "help.trainer",
)
"""Options that are no keys of a file."""
BASES: dict[str, type[Any]] = {
    "model": Method,
    "policy": Policy,
    "model.rewards": Reward,
    "model.engine": Engine,
}
PACKAGES = {
    "model": lalm_ambig.methods,
    "policy": lalm_ambig.policies,
    "model.rewards": lalm_ambig.rewards,
    "model.engine": lalm_ambig.rollouts.engines,
}
MOST = 3
"""Largest number of keys in a suggestion."""


def meant_key(key: str, within: str = "", *, class_path: str = "") -> str:
    """Return the end of a line about an unknown key: `: did you mean …?`, or a full stop if no key is near.

    Args:
        key: The key as it was written, without dashes.
        within: Key of the part of the configuration where the parser looked, if it reached one.
        class_path: The class that lacks the setting, if it is known.

    Returns:
        The end of the line.
    """
    full_key = f"{within}.{key}" if within else key
    if setting := closest(key, _settings(class_path)):
        return f": did you mean --{within}.{setting}?"
    keys = known_keys()
    if full_key in keys:
        return ", though other classes have it."
    last = full_key.rpartition(".")[2].lower()
    ends = {name: name.rpartition(".")[2] for name in keys}
    same = [name for name, end in ends.items() if end == last or _initials(end) == last]
    near = closest(full_key, keys)
    if near is None and not same:
        alike = difflib.get_close_matches(last, set(ends.values()), n=MOST, cutoff=0.7)
        same = [name for name, end in ends.items() if end in alike]
    first = full_key.partition(".")[0]
    candidates = (
        [name for name in same if name.partition(".")[0] == first] or same or ([near] if near else [])
    )
    return f": did you mean {_or([f'--{name}' for name in candidates[:MOST]])}?" if candidates else "."


def _settings(class_path: str) -> list[str]:
    """Return the names of a class's settings; none if the parser has not imported the class."""
    module, _, name = class_path.rpartition(".")
    cls = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return list(inspect.signature(cls).parameters) if inspect.isclass(cls) else []


def class_names(key: str) -> list[str]:
    """Return the short names of the classes or corpora that a key takes.

    Args:
        key: A dotted key of the configuration.

    Returns:
        The names; empty for a key whose classes are not listed here.
    """
    if key == "data.corpus":
        return [
            *corpus_names(),
            *(cls.__name__ for cls in map(corpus_class, corpus_names()) if cls is not None),
        ]
    if key == "trainer.callbacks":
        return usable_callbacks()
    if key == "trainer.logger":
        classes = {name: getattr(loggers, name) for name in loggers.__all__ if name != "Logger"}
        return [
            name for name, cls in classes.items() if issubclass(cls, loggers.Logger)
        ]  # LitLogger is Fabric's
    return sorted(classes_of(PACKAGES[key], BASES[key])) if key in BASES else []


@cache
def known_keys() -> tuple[str, ...]:
    """Return all known keys: of the project's classes and files, of Lightning's trainer, and the other options.

    Returns:
        Dotted keys, as an option has them.
    """
    folder = config_folder()
    kinds = [sorted((folder / kind).glob("*.yaml")) for kind in ("policy", "data", "method")]
    files = [folder / "base.yaml", *(file for kind in kinds for file in kind)]
    written = [key for file in files for key in _flat(yaml.safe_load(file.read_text(encoding="utf-8")))]
    parts = [
        (kind, cls)
        for kind in ("policy", "model")
        for cls in classes_of(PACKAGES[kind], BASES[kind]).values()
    ]
    settings = [key for kind, cls in [("data", DataModule), *parts] for key in _settings_of(cls, kind)]
    trainer = [
        f"trainer.{name}"
        for name in inspect.signature(lightning.Trainer.__init__).parameters
        if name != "self"
    ]
    return tuple(dict.fromkeys([*FLAGS, *written, *settings, *trainer]))


def _settings_of(cls: type[Any], above: str) -> Iterator[str]:
    """Yield the dotted keys of a class's settings, and of the dataclasses among them."""
    is_record = is_dataclass(cls)
    for name, expected in get_type_hints(cls if is_record else cls.__init__).items():
        if name in ("return", "policy", "corpus"):
            continue
        record = next((part for part in (expected, *get_args(expected)) if is_dataclass(part)), None)
        if isinstance(record, type):
            yield from _settings_of(record, f"{above}.{name}")
        else:
            yield f"{above}.{name}"


def _flat(content: Any, above: str = "") -> Iterator[str]:
    """Yield the dotted keys of a file as options have them: without `init_args`."""
    for key, value in content.items() if isinstance(content, Mapping) else ():
        if key == "class_path":
            continue
        name = above if key == "init_args" else f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        else:
            yield name


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


def _or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
