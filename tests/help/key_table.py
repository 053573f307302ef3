"""Every key of the project's classes, with default, range and meaning, read off signatures, docstrings and refusals."""

import ast
import dataclasses
import enum
import inspect
import math
import re
import textwrap
import types
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from lalm_ambig.config.cli import RunSettings
from lalm_ambig.config.estimate_option import EstimateOptions
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.help.catalogue import Key
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rollouts.engines.base import Engine

CHOSEN = (Corpus, Engine, Method, Policy, Reward)
"""Classes that a configuration names: their keys are listed with them."""
ARGUMENT = re.compile(r"^(\w+): (.*)$")
BOUNDS = re.compile(r"(?:must be|expected) (.+?), got")
EXTREMES: dict[type[Any], tuple[Any, ...]] = {
    int: (-(10**9), 0, 10**9),
    float: (-math.inf, -1e9, 0.0, 1e9, math.inf),
}
"""Values that a range excludes, to be told what it is."""
NAMES = {int: "N", float: "NUMBER", bool: "true|false", str: "TEXT", Path: "PATH"}


def keys_of(cls: type[Any], above: str, made: Any = None) -> list[Key]:
    """The keys of a class and of the dataclasses among its settings.

    Args:
        cls: The class.
        above: Key of the part.
        made: An object with the class's defaults, if its settings have other defaults than their own classes.
    """
    hints, meanings, bounds = _hints(cls), meanings_of(cls), bounds_of(cls)
    keys: list[Key] = []
    for name, default in _defaults(cls).items():
        expected, key = hints.get(name, Any), f"{above}.{name}" if above else name
        if expected is Policy or (expected is Corpus and cls is DataModule):
            continue
        record = next((part for part in (expected, *get_args(expected)) if _is_record(part)), None)
        if record is None:
            shown = _shown(default, required=default is inspect.Parameter.empty)
            keys.append(Key(key, takes(expected), shown, bounds.get(name, ""), meanings.get(name, "")))
            continue
        inner = keys_of(record, key)
        keys += [_as_made(row, getattr(made, name, None)) for row in inner]
        if default is None and made is not None and getattr(made, name, None) is None:
            keys[-len(inner)] = _unset(keys[-len(inner)], name, meanings.get(name, ""))
    return keys


def _as_made(key: Key, record: Any) -> Key:
    """The key with the default that the class around it gives, where that is another one."""
    name = key.name.rpartition(".")[2]
    if not dataclasses.is_dataclass(record) or not hasattr(record, name):
        return key
    value = _shown(getattr(record, name))
    if value == key.default:
        return key
    if key.default == "null":  # the class around it fills it in
        return dataclasses.replace(key, default=value)
    part = key.name.rpartition(".")[0]
    return dataclasses.replace(key, default=f"{value}, but {key.default} beside another key of {part}")


def _unset(key: Key, part: str, meaning: str) -> Key:
    """The first key of a part that is left out unless one of its keys is set."""
    return dataclasses.replace(
        key, meaning=f"{key.meaning} Any key of `{part}` turns it on: {_lower(meaning)}"
    )


def takes(expected: Any) -> str:
    """What a key takes, in the words of an option."""
    if expected in NAMES:
        return NAMES[expected]
    origin, parts = get_origin(expected), get_args(expected)
    if origin is Literal:
        return "|".join(str(part) for part in parts)
    if origin in (Union, types.UnionType):
        words = {takes(part) for part in parts if part is not types.NoneType}
        ordered = sorted(words, key=lambda word: (word.islower(), word))  # typing keeps no order of its own
        return "|".join([*ordered, *(["null"] if types.NoneType in parts else [])])
    if origin in (list, tuple, set, Sequence):
        classes = [part.__name__ for part in parts if inspect.isclass(part) and issubclass(part, CHOSEN)]
        return f"[{classes[0].upper() if classes else takes(parts[0])},…]"
    if inspect.isclass(expected) and issubclass(expected, enum.Enum):
        return "|".join(str(member.value) for member in expected)
    if origin is dict or expected is dict:
        return "{KEY: VALUE}"
    return expected.__name__.upper() if inspect.isclass(expected) else "VALUE"


def meanings_of(cls: type[Any]) -> dict[str, str]:
    """The meaning of each parameter: from `Args:` of the class and its `__init__`, or the text below a field."""
    found: dict[str, str] = {}
    for base in reversed(
        [base for base in cls.__mro__ if base.__module__.startswith(("lalm_ambig", "tests"))]
    ):
        for text in (base.__doc__, vars(base).get("__init__") and base.__init__.__doc__):
            found |= dict(_arguments(text or ""))
        if dataclasses.is_dataclass(base):
            found |= dict(_field_texts(base))
    return found


def bounds_of(cls: type[Any]) -> dict[str, str]:
    """The range of each number, in the words in which the class refuses what is outside of it."""
    if not dataclasses.is_dataclass(cls) or issubclass(cls, CHOSEN):
        return {}
    found: dict[str, str] = {}
    hints = _hints(cls)
    for field in dataclasses.fields(cls):
        kind = next(
            (part for part in (hints[field.name], *get_args(hints[field.name])) if part in EXTREMES), None
        )
        for value in EXTREMES.get(kind, ()) if kind is not None else ():
            said = _refusal(cls, field.name, value)
            if said is not None:
                found.setdefault(field.name, said)
    return found


def _refusal(cls: type[Any], name: str, value: Any) -> str | None:
    try:
        cls(**{name: value})
    except InputError as error:
        said = BOUNDS.search(str(error))
        return said[1] if said and name in str(error) else None
    except Exception:  # another field is required, or the value is none for it
        return None
    return None


def _hints(cls: type[Any]) -> dict[str, Any]:
    return get_type_hints(cls if _is_made_of_fields(cls) else cls.__init__)


def _defaults(cls: type[Any]) -> dict[str, Any]:
    """The settings of a class with their defaults."""
    if _is_made_of_fields(cls):
        made: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            factory = field.default_factory
            missing = field.default is dataclasses.MISSING
            value = inspect.Parameter.empty if missing else field.default
            if field.init:
                made[field.name] = value if factory is dataclasses.MISSING else factory()
        return made
    return {name: parameter.default for name, parameter in inspect.signature(cls).parameters.items()}


def _is_made_of_fields(cls: type[Any]) -> bool:
    """Whether its settings are its fields, and not those of an `__init__` of its own below a dataclass."""
    base = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return "__dataclass_params__" in vars(base)


def _is_record(part: Any) -> bool:
    return inspect.isclass(part) and dataclasses.is_dataclass(part) and not issubclass(part, CHOSEN)


def _shown(value: Any, *, required: bool = False) -> str:
    if required:
        return ""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, Path):
        value = str(value)
    if dataclasses.is_dataclass(value) or not isinstance(
        value, str | int | float | list | tuple | dict | None
    ):
        return type(value).__name__
    if isinstance(value, float):
        return "inf" if value == math.inf else f"{value:g}"
    plain = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("\n...\n").strip() or "''"


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    """Name and meaning of each argument in a docstring's `Args:`."""
    _, args, rest = inspect.cleandoc(text).partition("Args:\n")
    lines = rest.splitlines() if args else []
    if lines and lines[0][:1].isspace():  # below other paragraphs: its block is indented
        inside = takewhile(lambda line: not line.strip() or line[:1].isspace(), lines)
        lines = textwrap.dedent("\n".join(inside)).splitlines()
    name, words = "", []
    for line in [*lines, "end:"]:
        match = ARGUMENT.match(line)
        if line.strip() and line[:1].isspace():
            words.append(line.strip())
            continue
        if name:
            yield name, " ".join(words)
        if line.strip() and not match:
            return
        name, words = (match[1], [match[2]]) if match else ("", [])


def _field_texts(cls: type[Any]) -> Iterator[tuple[str, str]]:
    """Name and meaning of each field of a dataclass that has a text below it."""
    [body] = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    statements = body.body if isinstance(body, ast.ClassDef) else []
    for one, following in pairwise(statements):
        is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and is_text:
            yield one.target.id, " ".join(str(following.value.value).split())


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def method_defaults(cls: type[Any]) -> Any:
    """A method with its defaults, around the tiny policy; nothing is loaded."""
    return cls(policy=Tiny())


def plain_sections() -> dict[str, list[Key]]:
    """The keys that are of no class that a configuration chooses."""
    return {
        "data": keys_of(DataModule, "data"),
        "run": keys_of(RunSettings, "run"),
        "estimate": keys_of(EstimateOptions, "estimate"),
    }
