"""The papers' own tables as data, for reading beside one's own: other items, so never ranked with them.

One YAML file a table; figures stay texts, with the decimals that were printed. A cell that the source contradicts
elsewhere has a note.
"""

from pathlib import Path
from typing import Any

import yaml

from lalm_ambig.reporting.writing.sheet import Column, Entry, Sheet, SheetLine

FOLDER = Path(__file__).parent


def figures(name: str) -> dict[str, Any]:
    """The content of `published/NAME.yaml`."""
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def published(name: str) -> Sheet:
    """The table of `published/NAME.yaml`."""
    content = figures(name)
    lines: list[SheetLine] = []
    ends: list[int] = []
    for section in content["sections"]:
        noted = {(note["row"], note["column"]): note["note"] for note in section.get("notes", ())}
        for row, printed in section["rows"].items():
            entries = tuple(
                Entry(text=figure, notes=(noted[row, column],) if (row, column) in noted else ())
                for column, figure in zip(content["columns"], printed, strict=True)
            )
            lines.append(SheetLine((section["title"], row), entries))
        ends.append(len(lines) - 1)
    return Sheet(
        f"published_{name}",
        f"As printed: {content['source']}",
        ("dataset", "method"),
        tuple(Column(label, label) for label in content["columns"]),
        tuple(lines),
        ("The source's own figures, on items and splits of its own: not comparable item by item.",),
        frozenset(ends),
    )
