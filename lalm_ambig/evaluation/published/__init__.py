"""Figures that papers print, as data: to be read beside one's own table, never in it.

One YAML file per table of a paper; a new file needs no other edit. Figures stay texts, with the decimals that were
printed. They are of other items and splits, so they are not ranked with one's own.

A file has `source`, `columns` and `sections`. A section has a `title`, `rows` (name: one figure per column), and where
it needs them:

- `corpus` and `part`: what it is about;
- `literature: true`: it is shown below a run's own tables of that corpus;
- `notes`: a text is about the section; `{row, column, note}` is a footnote of one cell.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PublishedSection:
    """The rows of one corpus, or of one setting."""

    title: str
    rows: Mapping[str, Sequence[str]]
    """Name → a figure per column of the table."""
    corpus: str | None = None
    part: str | None = None
    literature: bool = False
    """Whether it is shown below a run's own tables of that corpus."""
    notes: Sequence[str] = ()
    """Facts that a reader has to know, each without a full stop."""
    cell_notes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """Row and column → footnote."""


@dataclass(frozen=True)
class PublishedTable:
    """One table of a paper."""

    name: str
    """Stem of its file."""
    source: str
    columns: Sequence[str]
    sections: Sequence[PublishedSection]

    def figures(self, corpus: str, part: str | None) -> Mapping[str, Mapping[str, str]]:
        """Row → column → figure, for a corpus or one part of it; empty where the table does not have it."""
        for section in self.sections:
            if (section.corpus, section.part) == (corpus, part):
                return {
                    row: dict(zip(self.columns, figures, strict=True))
                    for row, figures in section.rows.items()
                }
        return {}

    def table(self) -> ResultTable:
        """The whole table, with its notes as footnotes."""
        rows: list[TableRow] = []
        ends: list[int] = []
        for section in self.sections:
            for name, figures in section.rows.items():
                cells = (
                    Cell(text=figure, notes=_footnotes(section, name, column))
                    for column, figure in zip(self.columns, figures, strict=True)
                )
                rows.append(TableRow((section.title, name), tuple(cells)))
            ends.append(len(rows) - 1)
        return ResultTable(
            ("dataset", "method"),
            _columns(self.columns),
            tuple(rows),
            ("The source's own figures, on items and splits of its own: not comparable item by item.",),
            frozenset(ends),
            stem=f"published_{self.name}",
            title=f"As printed: {self.source}",
        )


def published_names() -> list[str]:
    """Stems of the files, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def published(name: str) -> PublishedTable:
    """The table of `NAME.yaml`.

    Args:
        name: One of `published_names()`.
    """
    content: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    sections = tuple(map(_section, content["sections"]))
    return PublishedTable(name, content["source"], tuple(content["columns"]), sections)


def literature(corpus: str, part: str | None) -> list[ResultTable]:
    """Return the results that papers report on a corpus, or on one part of it: one table per source that has it."""
    return [
        _below(table, section)
        for table in map(published, published_names())
        for section in table.sections
        if section.literature and (section.corpus, section.part) == (corpus, part)
    ]


def _section(content: Mapping[str, Any]) -> PublishedSection:
    notes = content.get("notes", ())
    return PublishedSection(
        content["title"],
        content["rows"],
        content.get("corpus"),
        content.get("part"),
        literature=content.get("literature", False),
        notes=[note for note in notes if isinstance(note, str)],
        cell_notes={(n["row"], n["column"]): n["note"] for n in notes if not isinstance(n, str)},
    )


def _below(table: PublishedTable, section: PublishedSection) -> ResultTable:
    caption = (
        f"From {table.source}: figures of the papers on other items and splits, not comparable item by item.",
        *(f"{note[0].upper()}{note[1:]}." for note in section.notes),
    )
    rows = (
        TableRow((name,), tuple(Cell(text=figure) for figure in figures))
        for name, figures in section.rows.items()
    )
    return ResultTable((f"literature: {section.title}",), _columns(table.columns), tuple(rows), caption)


def _columns(labels: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(label, label) for label in labels)


def _footnotes(section: PublishedSection, row: str, column: str) -> tuple[str, ...]:
    note = section.cell_notes.get((row, column))
    return () if note is None else (note,)
