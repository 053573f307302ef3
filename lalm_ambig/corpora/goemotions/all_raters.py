"""GoEmotions with all raters of a comment in one row, as a public study of disagreement distributes a part of it.

Files: `goe_rnd.csv`, 1,000 comments drawn at random, and `goe_*_dis.csv`, comments chosen for high disagreement. A cell
holds a list with a value per rater:

    text,rater_id,example_very_unclear,admiration,…,neutral,…,prob_positive
    That game hurt,"[7, 36, 60]","[False, True, False]","[0, 0, 0]",…

There are no ids: a comment's id is a digest of its text, so that one comment of two files is one item.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.goemotions.rows import COLUMNS, Cells
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.files.csv import name_text, open_table
from lalm_ambig.files.json_lines import short_repr

PATTERN = "goe_*.csv"
CHOSEN = "_dis"
"""End of the stems of files whose comments were chosen for their disagreement."""
MARK_COLUMN = "prob_positive"
"""A column that only these files have."""
DIGITS = 12
LISTED = COLUMNS[2:]
"""The columns that hold a list with a value per rater."""


def is_chosen(path: Path) -> bool:
    """Whether a file's comments were chosen for their disagreement."""
    return path.stem.endswith(CHOSEN)


def check_not_mixed(files: Sequence[Path]) -> None:
    """Refuse comments drawn at random and comments chosen for their disagreement as one corpus.

    Raises:
        InputError: There are files of both kinds.
    """
    chosen, drawn = [[path for path in files if is_chosen(path) is kind] for kind in (True, False)]
    if chosen and drawn:
        raise InputError(
            f"{drawn[0].name} was drawn at random and {chosen[0].name} chosen for its disagreement: as one corpus they "
            "would be a sample of nothing.",
            where=str(drawn[0].parent),
            remedy=f"Give one file as the root, as {drawn[0]}.",
        )


def has_all_raters(path: Path) -> bool:
    """Whether a CSV file has all raters of a comment in one row.

    Raises:
        InputError: The file is not UTF-8 text, or not CSV with commas and a header.
    """
    with open_table(path, multi_line=True) as table:
        return table.has(MARK_COLUMN) and not table.has("id")


def read_all_raters(path: Path, *, bad_rows: BadRows) -> Iterator[Cells]:
    """Yield the cells of each rater of each row, as if every rater had a row.

    Args:
        path: The file.
        bad_rows: Collects rows that are cut, whose lists differ in length, or that name a rater twice.

    Raises:
        InputError: A column is missing.
    """
    with open_table(path, multi_line=True) as table:
        text, places = table.position("text"), {name: table.position(name) for name in LISTED}
        for line, row in table.rows(bad_rows):
            where = f"{path}:{line}"
            try:
                lists = {name: _values(name, row[place]) for name, place in places.items()}
                _check(lists)
            except InputError as error:
                bad_rows.add(str(error), where=where)
                continue
            name = hashlib.sha256(row[text].strip().encode("utf-8", "replace")).hexdigest()[:DIGITS]
            for values in zip(*lists.values(), strict=True):
                yield Cells(where, (row[text], name, *values))


def _values(column: str, cell: str) -> list[str]:
    """The values of a list in a cell."""
    cell = cell.strip()
    values = [value.strip() for value in cell[1:-1].split(",")]
    if cell[:1] + cell[-1:] != "[]" or not all(values):
        raise InputError(f"column {column!r} must hold a list with a value per rater, got {short_repr(cell)}")
    return values


def _check(lists: dict[str, list[str]]) -> None:
    raters = [name_text(rater) for rater in lists["rater_id"]]
    if twice := next((rater for at, rater in enumerate(raters) if rater in raters[:at]), None):
        raise InputError(f"rater {short_repr(twice)} is named twice for one comment")
    for column, values in lists.items():
        if len(values) != len(raters):
            raise InputError(
                f"column {column!r} has {len(values)} values, and there are {len(raters)} raters"
            )
