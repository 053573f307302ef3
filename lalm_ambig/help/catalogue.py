"""Every key of every class, as `make help` has written it: default, range and meaning."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
KEYS = FOLDER / "keys.json"
OPTIONS = FOLDER / "options.json"
KINDS = ("methods", "policies", "corpora", "rewards", "engines", "metrics", "prompts", "baselines")
"""Names of the kinds."""


@dataclass(frozen=True)
class Key:
    """One setting."""

    name: str
    """Dotted key, as an option has it."""
    takes: str
    """What it takes: `N`, `true|false`, a choice such as `stop|skip`, or the kind of value."""
    default: str
    """As a YAML file would have it; empty where it is required."""
    bounds: str
    """Range of a number, such as `at least 1`; empty where there is none."""
    meaning: str

    @property
    def choices(self) -> list[str]:
        """The words that it takes; none where it takes anything else."""
        return [word for word in self.takes.split("|") if word.islower()] if "|" in self.takes else []


@dataclass(frozen=True)
class Entry:
    """Something that a configuration names: a class, a metric, a prompt or a baseline."""

    name: str
    line: str
    """What it is, in one line."""
    aliases: tuple[str, ...] = ()
    """Other names: the module's."""
    keys: tuple[Key, ...] = ()

    def is_called(self, name: str) -> bool:
        """Whether a name means this one: its own, an alias or a class path, in any case."""
        folded = name.rpartition(".")[2].replace("_", "").lower()
        return folded in {word.replace("_", "").lower() for word in (self.name, *self.aliases)}


@dataclass(frozen=True)
class Kind:
    """A list of such things."""

    name: str
    key: str
    """The key that names one of them; empty where none does."""
    about: str
    entries: tuple[Entry, ...]

    def entry(self, name: str) -> Entry | None:
        """Return the one of a name.

        Args:
            name: A name or an alias, in any case.

        Returns:
            The entry; None if there is none.
        """
        return next((entry for entry in self.entries if entry.is_called(name)), None)


@cache
def kinds() -> dict[str, Kind]:
    """Return all kinds by name, in the order of `KINDS`."""
    return {name: _kind(name, content) for name, content in _read()["kinds"].items()}


@cache
def sections() -> dict[str, tuple[Key, ...]]:
    """Return the keys that are of no class, by their first word: `data`, `run` and `trainer`, and `fit`'s own."""
    return {name: _keys(rows) for name, rows in _read()["sections"].items()}


def all_keys() -> Iterator[tuple[str, Key]]:
    """Yield every key with its class's name; an empty name for those of no class."""
    for keys in sections().values():
        yield from (("", key) for key in keys)
    for kind in kinds().values():
        yield from ((entry.name, key) for entry in kind.entries for key in entry.keys)


def options() -> dict[str, Any]:
    """Return each command's options for completion, by the command's name: names, and choices by name."""
    content: dict[str, Any] = json.loads(OPTIONS.read_text(encoding="utf-8"))
    return content


@cache
def _read() -> Any:
    return json.loads(KEYS.read_text(encoding="utf-8"))


def _kind(name: str, content: Any) -> Kind:
    entries = (
        Entry(entry["name"], entry["line"], tuple(entry["aliases"]), _keys(entry["keys"]))
        for entry in content["entries"]
    )
    return Kind(name, content["key"], content["about"], tuple(entries))


def _keys(rows: Any) -> tuple[Key, ...]:
    return tuple(Key(*row) for row in rows)
