"""Markdown of the generated pages: tables, and texts of the help as cells of tables."""

import re
from collections.abc import Iterable, Sequence

CODE = re.compile(r"(`[^`]*`|\$[^$]+\$)")
OPTION = re.compile(r"(?<![\w`-])(--[a-z][\w.-]*\w|-[a-z]\b)")
PAGE = re.compile(r"`?docs/((?:\w+/)?)(\w+)\.md`?")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table; cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(row) + " |" for row in lines]


def cell(text: str) -> str:
    """A text of the help as Markdown in a cell: options as code, pages as links, and no mark that was not meant."""
    return "".join(
        _marked(part) if CODE.fullmatch(part) else _plain(part) for part in CODE.split(_linked(text))
    )


def code(text: str) -> str:
    """A text as code in a cell."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def prose(text: str) -> str:
    """A text of the help as Markdown outside of a table."""
    return cell(text).replace("\\|", "|")


def _linked(text: str) -> str:
    return PAGE.sub(lambda found: f"[{found[2].replace('_', ' ')}](../{found[1]}{found[2]}.md)", text)


def _marked(part: str) -> str:
    if part.startswith("$"):  # a bar would end the cell
        part = part.replace("\\|", "\\Vert ").replace("|", "\\vert ")
    return part.replace("|", "\\|")


def _plain(part: str) -> str:
    escaped = re.sub(r"([*|<])", r"\\\1", part)
    return OPTION.sub(r"`\1`", escaped)
