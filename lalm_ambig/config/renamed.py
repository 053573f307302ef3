"""The table of renamed keys. Old names in files, options and run folders are still read, with a notice."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from lalm_ambig.core import distributed
from lalm_ambig.core.errors import InputError

RENAMED = {
    "model.init_args.grouping.size": "model.init_args.grouping.group_size",
    "model.init_args.negatives.rollouts": "model.init_args.negatives.group_size",
}
"""Old key to present key, as the resolved configuration has them. Only the last part of a key may change."""
GONE = {
    "policy.init_args.audio_dropout": "three seeds showed no use of it (docs/results/hearing.md)",
}
"""Keys that are no settings any more, and why. Older files and run folders are read without them."""
FIRST = {new: old for old, new in RENAMED.items()}
"""Present key to old key. A run's identity uses the old names, so that a rename does not change it."""


def first_name(key: str) -> str:
    """Return the name that a key had before any rename.

    Args:
        key: A dotted key of the resolved configuration.

    Returns:
        The first name; the key itself if it was never renamed.

    >>> first_name("model.init_args.grouping.group_size")
    'model.init_args.grouping.size'
    """
    return FIRST.get(key, key)


def renamed_document(content: Any) -> Any:
    """Replace the old keys of a YAML document by the present ones, with a notice for each.

    Args:
        content: A configuration, or one part of it (the file of `--model FILE`). It is not changed.

    Returns:
        The document with present keys; the same object if it has no old ones.

    Raises:
        InputError: An old key and its present name are both in the document.
    """
    if not isinstance(content, Mapping):
        return content
    for old, new in RENAMED.items():
        for path in _spellings(old):
            moved = _moved(content, path, new.rpartition(".")[2])
            if moved is not content:
                _notice(_short(old), _short(new))
            content = moved
    for gone, reason in GONE.items():
        for path in _spellings(gone):
            content = _without(content, path, notice=f"{_short(gone)} is read over: {reason}")
    return content


def renamed_options(words: Sequence[str]) -> list[str]:
    """Replace old option names in a command line by the present ones, with a notice for each.

    Args:
        words: The command line.

    Returns:
        As many words.

    Raises:
        InputError: A mapping on the command line has an old key and its present name.
    """
    options = [word.partition("=")[0] for word in words]
    return [
        _renamed_value(option, _renamed_option(word))
        for option, word in zip(["", *options], words, strict=False)
    ]


def _renamed_option(word: str) -> str:
    name, equals, value = word.partition("=")
    for old, new in RENAMED.items():
        if name in (f"--{old}", f"--{_short(old)}"):
            _notice(_short(old), _short(new))
            return f"--{_short(new)}{equals}{value}"
    return word


def _renamed_value(option: str, word: str) -> str:
    """Replace old keys in a mapping on the command line.

    The word is `--model.grouping={"size": 4}`, or the mapping after its option.
    """
    name, equals, value = word.partition("=") if word.startswith("--") else (option, "", word)
    if not value.lstrip().startswith("{"):
        return word
    for old, new in RENAMED.items():
        for key in (old, _short(old)):
            if key.startswith(f"{name.removeprefix('--')}."):
                path = key.removeprefix(f"{name.removeprefix('--')}.").split(".")
                content = _mapping(value)
                moved = _moved(content, path, new.rpartition(".")[2])
                if moved is not content:
                    _notice(_short(old), _short(new))
                    value = json.dumps(moved)
    return f"{name}={value}" if equals else value


def _mapping(text: str) -> Mapping[Any, Any]:
    """Return the mapping that a YAML text holds; an empty one for any other text, which the parser refuses."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}


def _spellings(key: str) -> Iterator[list[str]]:
    """Yield the paths of a key in a document: with and without `init_args`, and within a file of its part."""
    for spelling in (key, _short(key)):
        path = spelling.split(".")
        yield path
        yield path[1:]


def _moved(content: Mapping[Any, Any], path: Sequence[str], new: str) -> Mapping[Any, Any]:
    """Return a copy of a document in which the last key of a path is renamed; without that path, the document."""
    first, *rest = path
    if first not in content:
        return content
    if rest:
        inner = content[first]
        moved = _moved(inner, rest, new) if isinstance(inner, Mapping) else inner
        return content if moved is inner else {**content, first: moved}
    if new in content:
        raise InputError(
            f"{first} and {new} are one setting, and both are given:",
            where="configuration",
            remedy=f"leave out {first}, the older name.",
        )
    return {new if key == first else key: value for key, value in content.items()}


def _without(content: Mapping[Any, Any], path: Sequence[str], *, notice: str) -> Mapping[Any, Any]:
    """Return a document without a key that is no setting any more; a line says so where it was set to anything."""
    first, *rest = path
    if first not in content:
        return content
    if rest:
        inner = content[first]
        left = _without(inner, rest, notice=notice) if isinstance(inner, Mapping) else inner
        return content if left is inner else {**content, first: left}
    if content[first] and distributed.is_first():
        print(notice, file=sys.stderr)
    return {key: value for key, value in content.items() if key != first}


def _short(key: str) -> str:
    return key.replace(".init_args", "")


@cache
def _notice(old: str, new: str) -> None:
    """Print one line per renamed key, in the first process only."""
    if distributed.is_first():
        print(f"{old} is now called {new}; the old name is still read.", file=sys.stderr)
