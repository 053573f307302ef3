"""What papers print for a corpus, to stand below one's own table: other items and splits, so never in it.

One YAML file a source; figures stay texts, with the decimals that were printed. A new file is found by itself.
"""

from pathlib import Path

import yaml

from lalm_ambig.evaluation.grid import Cell, Grid

FOLDER = Path(__file__).parent


def literature(corpus: str, part: str | None) -> list[Grid]:
    """The tables of a corpus, or of one part of it: one for each source, none where no source has it."""
    return [
        _grid(content, table)
        for content in (yaml.safe_load(path.read_text(encoding="utf-8")) for path in sources())
        for table in content["tables"]
        if (table["corpus"], table["part"]) == (corpus, part)
    ]


def sources() -> list[Path]:
    """The files."""
    return sorted(FOLDER.glob("*.yaml"))


def _grid(content: dict[str, object], table: dict[str, object]) -> Grid:
    rows, notes, columns = table["rows"], table["notes"], content["columns"]
    assert isinstance(rows, dict) and isinstance(notes, list) and isinstance(columns, list)
    caption = [
        f"From {content['source']}: figures of the papers on other items and splits, not comparable item by item.",
        *(f"{note[0].upper()}{note[1:]}." for note in notes),
    ]
    head = [f"literature: {table['title']}", *columns]
    cells = [[Cell(name), *map(Cell, figures)] for name, figures in rows.items()]
    return Grid(head, cells, "\n".join(caption))
