"""Options of a corpus on the command line: `--option KEY=VALUE`."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from lalm_ambig.core.errors import InputError

ROOT_HELP = "folder of the corpus (a file for jsonl; demo needs none), or hf://owner/name[@revision][/path] on the hub"
"""Help of `--root`."""


def option_values(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` texts as options. A value in JSON (true, 3, ["a", "b"]) is decoded, and so is a list without
    quotes, as YAML has it ([a, b]); any other is a text.

    A key with dots is a part of an option: `columns.votes=counts`.

    Args:
        pairs: The texts. Of two with the same key, the later one counts.

    Returns:
        Values by key.

    Raises:
        InputError: A text has no `=`, or its key is no identifier.

    >>> option_values(["votes=face", "seed=3", "columns.votes=[anger, joy]"])
    {'votes': 'face', 'seed': 3, 'columns': {'votes': ['anger', 'joy']}}
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not all(part.isidentifier() for part in key.split(".")):
            raise InputError(f"expected KEY=VALUE, got {pair!r}", where="--option")
        *above, name = key.split(".")
        inner = options
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise InputError(f"{key} is a part of {part}, which has a value of its own", where="--option")
        try:
            inner[name] = json.loads(text)
        except json.JSONDecodeError:
            inner[name] = _list(text) or text
    return options


def _list(text: str) -> list[Any] | None:
    """A YAML list of texts and numbers; None if the text is none."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return (
        value
        if isinstance(value, list) and all(isinstance(part, str | int | float) for part in value)
        else None
    )
