"""`describe --html`: one file with tables, items and their sound, which any browser opens from the disk, offline.

What the corpus says never becomes markup. Tables are escaped; items are JSON that the script inserts as text only. The
page's content policy allows its own script and sounds inside the page, and nothing else.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from lalm_ambig.files.kinds import OutputKind, mark_of, marked
from lalm_ambig.reporting.data_page.sample import Shown
from lalm_ambig.reporting.data_page.tables import PlainTable
from lalm_ambig.tabular.escaping import html_escape as escape

MARK = mark_of("describe")
KIND: OutputKind = marked("what describe --html writes", MARK)
SCRIPT = re.compile(r"<script id=\"page\">(.*?)</script>", re.S)
FIELD = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class DataPage:
    """The content of the page."""

    title: str
    classes: tuple[str, ...]
    shown: Shown
    facts: Sequence[tuple[str, str]]
    """Names and values at the top."""
    tables: Sequence[PlainTable]
    notes: Sequence[str] = field(default_factory=tuple)
    """Lines of the corpus and of the check."""
    licence: str = ""
    """Where the licence forbids passing items on: the sentence that says so."""


def rendered(page: DataPage) -> str:
    """The page as HTML."""
    template = files("lalm_ambig.reporting.data_page").joinpath("template.html").read_text(encoding="utf-8")
    script = SCRIPT.search(template)
    assert script is not None
    parts = {
        "script_hash": base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode(),
        "title": escape(page.title),
        "licence": f'<p class="licence" role="note">{escape(page.licence)}</p>' if page.licence else "",
        "facts": "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in page.facts),
        "tables": "\n".join(map(_table, page.tables)),
        "notes": _notes(page.notes),
        "data": _json({"classes": page.classes, "total": page.shown.total, "items": page.shown.records}),
        "mark": MARK,
    }
    return FIELD.sub(lambda match: parts[match[1]], template)


def _table(table: PlainTable) -> str:
    kind = ' class="words"' if len(table.heads) == 2 else ""
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in table.heads)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{kind}>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    )
    body = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>" if table.rows else ""
    title = escape(table.title)
    wide = f'<div class="wide" tabindex="0" role="region" aria-label="{title}">{body}</div>' if body else ""
    return f'<section><h3>{title}</h3>{wide}<p class="note">{escape(table.caption)}</p></section>'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section><h3>Said while reading</h3><ul>{lines}</ul></section>"


def _json(value: object) -> str:
    """JSON in ASCII that cannot end a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
