"""Figures that papers print, as data: to be read beside one's own table, never in it.

One YAML file per table of a paper; a new file needs no other edit. Figures stay texts, with the decimals that were
printed. They are of other items and splits, so they are not ranked with one's own.

A file says where its figures are printed, so that each can be looked up:

- `paper`: the name by which this project cites it;
- `edition`: the text that was read, such as `arXiv:2603.08230, PDF`;
- `table`: its number there, such as `Table 2`;
- `place`: in a PDF the page, counted from its first; in HTML, which has no pages, the section or appendix.

Beside these it has `columns` and `sections`, and `own_rows` where a table also quotes other papers: the rows that are
the paper's own. A section has a `title`, `rows` (name: one figure per column), and where it needs them:

- `corpus` and `part`: what it is about;
- `printed`: the names that rows have in the paper, where ours differ in more than capitals;
- `literature: true`: it is shown below a run's own tables of that corpus;
- `notes`: a text is about the section; `{row, column, note}` is a footnote of one cell.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.tabular.model import Cell, Column, ResultTable, TableRow

FOLDER = Path(__file__).parent
WHERE = ("paper", "edition", "table", "place")
"""Keys that say where the figures are printed."""
NUMBER = re.compile(r"Table [1-9]\d*")
PAGE = re.compile(r"page [1-9]\d*")
SECTION = re.compile(r"(section [1-9]|appendix [A-Z])[\d.]*")


@dataclass(frozen=True)
class PublishedSection:
    """The rows of one corpus, or of one setting."""

    title: str
    rows: Mapping[str, Sequence[str]]
    """Name → a figure per column of the table."""
    printed: Mapping[str, str] = field(default_factory=dict)
    """Name → the row's name in the paper, where it is another."""
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
    """Paper, edition, table and page, in one line."""
    columns: Sequence[str]
    sections: Sequence[PublishedSection]
    own_rows: Sequence[str] = ()
    """Rows that are the paper's own, in a table that quotes other papers in the others."""

    def quoted(self, section: PublishedSection) -> list[str]:
        """The rows of a section that the paper quotes from other papers."""
        return [row for row in section.rows if self.own_rows and row not in self.own_rows]

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
                rows.append(TableRow((section.title, name), tuple(cells), _printed_as(section, name)))
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

    Raises:
        InputError: As for `read_published`.
    """
    return read_published(FOLDER / f"{name}.yaml")


def read_published(path: Path) -> PublishedTable:
    """The table of a file.

    Raises:
        InputError: It does not say where its figures are printed, or names a row that it does not have.
    """
    content: dict[str, Any] = read_yaml(path)
    sections = tuple(map(_section, content["sections"]))
    own = tuple(content.get("own_rows", ()))
    rows = {row for section in sections for row in section.rows}
    named = {*own, *(row for section in sections for row in section.printed)}
    if strays := sorted(named - rows):
        raise InputError(f"there is no row {strays[0]!r} in it", where=str(path))
    return PublishedTable(path.stem, _source(content, path), tuple(content["columns"]), sections, own)


def _source(content: Mapping[str, Any], path: Path) -> str:
    """Paper, edition, table and page in one line; each is needed, for a figure nobody can look up is no source."""
    values = {key: content.get(key) for key in WHERE}
    for key, value in values.items():
        if not isinstance(value, str) or not value:
            raise InputError(
                f"{key} must be a text, got {value!r}", where=str(path), remedy=f"Add {key}: TEXT."
            )
    paper, edition, table, place = (str(value) for value in values.values())
    has_pages = not edition.endswith("HTML")
    if not NUMBER.fullmatch(table):
        raise InputError(f"table must be as 'Table 2', got {table!r}", where=str(path))
    if not (PAGE if has_pages else SECTION).fullmatch(place):
        form = "page 4" if has_pages else "section 5.1 or appendix C.1.1"
        raise InputError(f"place must be as {form} in {edition!r}, got {place!r}", where=str(path))
    return f"{paper} ({edition}), {table}, {place}"


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
        content.get("printed", {}),
        content.get("corpus"),
        content.get("part"),
        literature=content.get("literature", False),
        notes=[note for note in notes if isinstance(note, str)],
        cell_notes={(n["row"], n["column"]): n["note"] for n in notes if not isinstance(n, str)},
    )


def _below(table: PublishedTable, section: PublishedSection) -> ResultTable:
    caption = (
        f"From {table.source}: figures on other items and splits, not comparable item by item.",
        *quoting(table, section),
        *(f"{note[0].upper()}{note[1:]}." for note in section.notes),
    )
    rows = (
        TableRow((name,), tuple(Cell(text=figure) for figure in figures), _printed_as(section, name))
        for name, figures in section.rows.items()
    )
    return ResultTable((f"literature: {section.title}",), _columns(table.columns), tuple(rows), caption)


def quoting(table: PublishedTable, section: PublishedSection) -> list[str]:
    """A line on the rows that the paper quotes from other papers; none where all are its own."""
    quoted = table.quoted(section)
    return [f"Quoted there from other papers: {', '.join(quoted)}."] if quoted else []


def _printed_as(section: PublishedSection, row: str) -> tuple[str, ...]:
    return (f"in the paper this row is “{section.printed[row]}”",) if row in section.printed else ()


def _columns(labels: Sequence[str]) -> tuple[Column, ...]:
    return tuple(Column(label, label) for label in labels)


def _footnotes(section: PublishedSection, row: str, column: str) -> tuple[str, ...]:
    note = section.cell_notes.get((row, column))
    return () if note is None else (note,)
