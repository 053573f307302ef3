"""Write the files of a report: each completely or not at all, and none over a file of something else."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from lalm_ambig.corpora.base import corpus_class, corpus_names
from lalm_ambig.files.atomic import replacing, write_text
from lalm_ambig.files.kinds import check_replaceable, mark_of, marked, table_with
from lalm_ambig.files.names import component
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import latex, markdown, to_csv

MARK = mark_of("report")
COMMENT = {".md": f"<!-- {MARK} -->\n", ".tex": f"% {MARK}\n", ".html": f"<!-- {MARK} -->\n", ".csv": ""}
"""Last line of a file; a CSV has no place for one."""
LAST_COLUMN = "notes"
"""The last column, which marks a CSV as one of a report."""


def write_table(folder: Path, sheet: ResultTable) -> None:
    """Write a table as Markdown, LaTeX and CSV."""
    for suffix, text in ((".md", markdown(sheet)), (".tex", latex(sheet)), (".csv", to_csv(sheet))):
        write(folder / f"{sheet.stem}{suffix}", text)


def write(path: Path, text: str) -> None:
    """Write a text, with the mark of its kind.

    Raises:
        InputError: A file of something else has that name.
    """
    check_free(path)
    write_text(path, text + COMMENT[path.suffix])


def write_picture(path: Path, save: Callable[[Path], None]) -> None:
    """Write a picture by `save`, which draws into a path and names the program as `MARK`.

    Raises:
        InputError: A file of something else has that name.
    """
    check_free(path)
    with replacing(path) as unfinished:
        save(unfinished)


def check_free(path: Path) -> None:
    """Refuse a path that belongs to something else.

    Raises:
        InputError: A file of something else has that name.
    """
    what = "what report writes"
    kind = table_with(what, LAST_COLUMN) if path.suffix == ".csv" else marked(what, MARK)
    check_replaceable(path, kind, where="--out")


def stem_of(name: str, dataset: tuple[str, str | None]) -> str:
    """Name of the files of one corpus's figure."""
    names = tuple(given for given in dataset if given is not None)
    return f"{name}_{component(*names, plain=_parts())}"


@cache
def _parts() -> frozenset[tuple[str, ...]]:
    """Every corpus of the project with each of its parts."""
    corpora = {name: corpus_class(name) for name in corpus_names()}
    return frozenset((name, part) for name, cls in corpora.items() for part in (cls.parts if cls else ()))
