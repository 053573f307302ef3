"""Options of a corpus as a command takes them: `--option key=value`."""

import json
from collections.abc import Sequence
from typing import Any

from lalm_ambig.core.errors import InputError


def option_values(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` texts as options: a value that is JSON (true, 3, ["a", "b"]) is read as such."""
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(f"expected KEY=VALUE, got {pair!r}", where="--option")
        try:
            options[key] = json.loads(text)
        except json.JSONDecodeError:
            options[key] = text
    return options
