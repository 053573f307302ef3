"""Keys and lists as text of at most 100 columns."""

import textwrap
from collections.abc import Iterable, Iterator

from lalm_ambig.help.catalogue import Entry, Key

WIDTH = 100
COLUMN = 40
"""Column at which a meaning begins."""


def key_lines(keys: Iterable[Key], *, brief: bool = False, dashes: bool = True) -> Iterator[str]:
    """Yield the lines about keys: name and values at the left, meaning, default and range at the right.

    Args:
        keys: The keys.
        brief: Whether to keep each meaning's first sentence alone.
        dashes: Whether they are options.

    Yields:
        Lines of at most 100 columns.
    """
    for key in keys:
        name = f"--{key.name}" if dashes else key.name
        yield from entry_lines(f"{name} {key.takes}".rstrip(), _about(key, brief=brief))


def entry_lines(name: str, meaning: str, *, column: int = COLUMN) -> Iterator[str]:
    """Yield a name with its meaning beside it, or below it where the name is long.

    Args:
        name: What stands at the left.
        meaning: What stands at the right, wrapped.
        column: Where the right begins.

    Yields:
        Lines of at most 100 columns.
    """
    wrapped = textwrap.wrap(meaning, WIDTH - column, break_on_hyphens=False) or [""]
    left = f"  {name}"
    if len(left) >= column:
        yield left
        left = ""
    for line in wrapped:
        yield f"{left:<{column}}{line}".rstrip()
        left = ""


def list_lines(entries: Iterable[Entry]) -> list[str]:
    """Return one line per entry, cut at 100 columns.

    Args:
        entries: The entries.

    Returns:
        The lines.
    """
    listed = list(entries)
    width = max((len(entry.name) for entry in listed), default=0) + 4
    return [cut(f"  {entry.name:<{width - 2}}{entry.line}") for entry in listed]


def cut(line: str) -> str:
    """Return a line of at most 100 columns, with `…` where it was longer.

    >>> len(cut("a" * 200))
    100
    """
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1].rstrip()}…"


def first_sentence(text: str) -> str:
    """Return a text's first sentence, without its full stop.

    >>> first_sentence("Largest norm. Above, it is cut.")
    'Largest norm'
    """
    return text.partition(". ")[0].rstrip(".")


def _about(key: Key, *, brief: bool) -> str:
    meaning = f"{first_sentence(key.meaning)}." if brief and key.meaning else key.meaning
    facts = [f"default: {key.default}" if key.default else "required", key.bounds]
    return f"{meaning} ({'; '.join(fact for fact in facts if fact)})".strip()
