"""The place of a text in a configuration: file, line and key, or the option."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The YAML loader that jsonargparse uses."""
STRUCTURE = frozenset("{}[]:-\n")
"""Characters of keys and lists. A text without any of them is a plain value."""


def place_of(text: str, documents: Sequence[tuple[Path, str]], arguments: Sequence[str]) -> tuple[str, str]:
    """Return the place of a text. The newest document is searched first, the command line last.

    Args:
        text: The text.
        documents: Files that were read, in this order, each with its content.
        arguments: The command line.

    Returns:
        `FILE:LINE`, `--OPTION` or `configuration`, and the text's key in a file, else an empty text.
    """
    for path, content in reversed(documents):
        for key, line, value in _texts(content):
            if _contains(value, text):
                return f"{path}:{line}", key
    option = ""
    for argument in arguments:
        option = argument.partition("=")[0] if argument.startswith("-") else option
        if _contains(argument.partition("=")[2] or argument, text):
            return option or "configuration", ""
    return "configuration", ""


def _contains(value: str, text: str) -> bool:
    """Return whether a value is that text, or a YAML document that contains it."""
    structured = STRUCTURE.intersection(value)
    return value == text or bool(structured and any(_contains(inner, text) for _, _, inner in _texts(value)))


def _texts(content: str) -> Iterator[tuple[str, int, str]]:
    """Yield every text in a document with its key and line; nothing if the document is no YAML."""
    try:
        root = yaml.compose(content, Loader=LOADER)
    except (yaml.YAMLError, RecursionError, ValueError):
        return
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [("", root)] if root is not None else []
    while pending:
        key, node = pending.pop()
        if id(node) in seen:  # a reference to what was walked, or is being walked
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            pending += [(_joined(key, name), value) for name, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            pending += [(key, value) for value in reversed(node.value)]
        elif node.value != content:
            yield key, node.start_mark.line + 1, node.value


def _joined(key: str, name: Any) -> str:
    inner = name.value if isinstance(name, yaml.ScalarNode) else ""
    return f"{key}.{inner}".strip(".")
