"""Reads our docstrings as they are written: `code` in single backticks and $formulas$ between dollars."""

import re
import textwrap
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DISPLAYED = r"^(?P<indent> *)\$\$(?P<displayed>.+?)\$\$ *$"
PAGE = r"`?docs/(?P<page>[\w/]+)\.md`?"
CODE = r"(?<![`:\w])`(?P<code>[^`\n]+)`(?!`)"
FORMULA = r"(?<![\\$\w])\$(?P<formula>[^$\n]+)\$(?![\w$])"
MARKED = re.compile(f"{DISPLAYED}|{PAGE}|{CODE}|{FORMULA}", re.MULTILINE | re.DOTALL)


COLON = "\ufe55"
"""Stands for a colon that napoleon would take for the end of a type; ours stand in the signature alone."""
RETURNS = re.compile(r"^(Returns|Yields):\n( +.*)$", re.MULTILINE)
BARE_ARGS = re.compile(r"\AArgs:\n(?=\S)((?:.+\n?)+)")
"""Arguments of a constructor whose docstring begins with them, so that they have lost their indentation."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Rewrite each docstring before Sphinx's reader of Google style sees it."""
    app.connect("autodoc-process-docstring", rewrite, priority=100)
    app.connect("doctree-read", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def rewrite(*event: Any) -> None:
    """Turn a docstring into reStructuredText, in place.

    Args:
        event: What Sphinx says of a docstring: its kind is the second, its lines are the last.
    """
    kind: str = event[1]
    lines: list[str] = event[-1]
    text = BARE_ARGS.sub(lambda found: "Args:\n" + textwrap.indent(found[1], "    "), "\n".join(lines))
    text = RETURNS.sub(lambda found: f"{found[1]}:\n{found[2].replace(':', COLON)}", text)
    if kind in ("attribute", "data", "property"):
        first, end, rest = text.partition("\n")
        text = first.replace(":", COLON) + end + rest
    lines[:] = as_rst(text).split("\n")


def finish(_: Sphinx, doctree: nodes.document) -> None:
    """Put colons back, and write the dash between an argument and its meaning as one.

    Args:
        doctree: A page that was read.
    """
    for text in list(doctree.findall(nodes.Text)):
        if text == " -- " or COLON in text:
            text.parent.replace(text, nodes.Text(" – " if text == " -- " else text.replace(COLON, ":")))


def as_rst(text: str) -> str:
    """Return a docstring as reStructuredText: code and formulas as roles, stars and bars as they are.

    Args:
        text: A docstring without its indentation.

    Returns:
        The text, line for line except for displayed formulas.
    """
    parts: list[str] = []
    end = 0
    for found in MARKED.finditer(text):
        parts += [plain(text[end : found.start()]), role(found)]
        end = found.end()
    return "".join([*parts, plain(text[end:])])


def role(found: re.Match[str]) -> str:
    """Return what is marked in our way in the way of reStructuredText."""
    if found["page"]:
        return f":doc:`/{found['page']}`"
    if found["code"]:
        return f"``{found['code']}``"
    if found["formula"]:
        return f":math:`{found['formula']}`"
    indent, latex = found["indent"], " ".join(found["displayed"].split())
    return f"\n{indent}.. math::\n\n{indent}    {latex}\n"


def plain(text: str) -> str:
    """Return text in which no mark of reStructuredText is left that was not meant as one."""
    return re.sub(r"(?<=\w)\*(?=[\w(])|(?<=\s)\*(?=\s)|\|", lambda found: f"\\{found[0]}", text)
