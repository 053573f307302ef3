"""American and British spelling: keys and choices are read in either (`optimizer`, `verbalized`, `quantise`).

Keys under `trainer` are Lightning's, and a class from elsewhere has names of its own: both are left as they are.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from lalm_ambig.help.catalogue import all_keys
from lalm_ambig.help.names import spelled

OURS = ("model", "policy", "data", "run", "estimate")
"""First words of the project's own keys."""


def spelled_options(words: Sequence[str]) -> list[str]:
    """Return a command line with option names and choices as the project spells them.

    Args:
        words: The command line.

    Returns:
        As many words.

    >>> spelled_options(["--model.optimizer.learning_rate=1e-4", "--model.readout", "verbalized"])
    ['--model.optimiser.learning_rate=1e-4', '--model.readout', 'verbalised']
    """
    if any(_is_foreign(word.rpartition("=")[2]) for word in words):
        return list(words)
    result: list[str] = []
    option = ""
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            option = _spelled_name(name)
            result.append(f"{option}{equals}{_spelled_value(option, value)}")
        else:
            result.append(_spelled_value(option, word))
    return result


def spelled_document(value: Any, *, within: str = "") -> Any:
    """Return a YAML document with keys and choices as the project spells them.

    Args:
        value: A configuration, or one part of it. It is not changed.
        within: The last key above.

    Returns:
        The document.
    """
    if isinstance(value, list):
        return [spelled_document(inner, within=within) for inner in value]
    if isinstance(value, str):
        return spelled(value, choices()[within]) if within in choices() else value
    if not isinstance(value, Mapping) or _is_foreign(value.get("class_path")):
        return value
    names = {key: spelled(key, segments()) if isinstance(key, str) else key for key in value}
    if len(set(names.values())) < len(names):  # one key in both spellings, which the parser refuses
        names = {key: key for key in value}
    return {
        new: value[key] if key == "trainer" else spelled_document(value[key], within=str(new))
        for key, new in names.items()
    }


@cache
def segments() -> frozenset[str]:
    """Return every word of a dotted key."""
    return frozenset(
        {*(part for _, key in all_keys() for part in key.name.split(".")), "init_args", "class_path"}
    )


@cache
def choices() -> dict[str, frozenset[str]]:
    """Return the choices of each last word of a key."""
    found: dict[str, set[str]] = {}
    for _, key in all_keys():
        if key.choices and not key.name.startswith("trainer."):
            found.setdefault(key.name.rpartition(".")[2], set()).update(key.choices)
    return {name: frozenset(words) for name, words in found.items()}


def _spelled_name(name: str) -> str:
    first, *rest = name.removeprefix("--").split(".")
    return (
        ".".join([f"--{first}", *(spelled(part, segments()) for part in rest)])
        if first in OURS and rest
        else name
    )


def _spelled_value(option: str, value: str) -> str:
    last = option.rpartition(".")[2]
    return spelled(value, choices()[last]) if option.startswith("--") and last in choices() else value


def _is_foreign(value: Any) -> bool:
    """Whether a value is the path of a class that is not the project's."""
    if not isinstance(value, str) or "." not in value or "/" in value:
        return False
    parts = value.split(".")
    return (
        all(part.isidentifier() for part in parts)
        and parts[0] not in ("lalm_ambig", "lightning", "torch")
        and parts[-1][:1].isupper()
    )
