"""The one table of renamed keys: files, options and older run folders are read under the old names, with a notice."""

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
"""Old key to present key, as the resolved configuration has them. A rename stays in the same part of it."""
FIRST = {new: old for old, new in RENAMED.items()}
"""The other way. A run's identity is made of the first names, so that a rename does not make it another run."""


def first_name(key: str) -> str:
    """The name that a key had before any rename.

    >>> first_name("model.init_args.grouping.group_size")
    'model.init_args.grouping.size'
    """
    return FIRST.get(key, key)


def renamed_document(content: Any) -> Any:
    """A YAML document with its old keys replaced by the present ones.

    Args:
        content: A whole configuration, or a file of one part of it (what `--model FILE` names). Left as it is.

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
    return content


def renamed_options(words: Sequence[str]) -> list[str]:
    """Words of a command line with old option names replaced by the present ones."""
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
    """A word with old keys in its mapping replaced: `--model.grouping={"size": 4}`, or the value after its option."""
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
    """A mapping in YAML's words; an empty one for any other text, which the parser refuses."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return {}
    return content if isinstance(content, Mapping) else {}


def _spellings(key: str) -> Iterator[list[str]]:
    """Paths of a key in a whole document, with and without `init_args`, and in a file of its part."""
    for spelling in (key, _short(key)):
        path = spelling.split(".")
        yield path
        yield path[1:]


def _moved(content: Mapping[Any, Any], path: Sequence[str], new: str) -> Mapping[Any, Any]:
    """A copy of a document in which the last key of a path has its new name; the same document without that path."""
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


def _short(key: str) -> str:
    return key.replace(".init_args", "")


@cache
def _notice(old: str, new: str) -> None:
    """One line for each renamed key, from the first process only."""
    if distributed.is_first():
        print(f"{old} is now called {new}; the old name is still read.", file=sys.stderr)
