"""Curated chains of thought, read from the JSON Lines that `data_curation` writes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, id_text
from lalm_ambig.core.rationale_parts import KEYWORDS, SYNTHESIS, RationalePart, keywords_part
from lalm_ambig.files.json_lines import json_object, numbered_lines

HeardPart = Callable[[str, Sequence[str] | None], str | None]
"""`Corpus.heard_part`: what a rationale says is heard, by the classes that it argues for, or None."""


@dataclass(frozen=True)
class Cut:
    """How a part is cut out of rationales, and what is said where it cannot be."""

    part: HeardPart
    what: str
    remedy: str

    def of(self, rationale: str, item: str, categories: Sequence[str] | None, *, where: str) -> str:
        """Return the part of an item's rationale.

        Args:
            rationale: Of an item.
            item: Id, for the error.
            categories: The classes that it argues for; None for the corpus's.
            where: File, or file and line, for the error.

        Raises:
            InputError: It cannot be told from the rest; names the item.
        """
        part = self.part(rationale, categories)
        if part is None:
            remedy = f"{self.remedy}, or set data.rationale_part to all."
            raise InputError(f"{self.what} in the rationale of item {item}.", where=where, remedy=remedy)
        return part


def cut_for(part: RationalePart, heard_part: HeardPart) -> Cut | None:
    """Return how a part is cut out; None where all of a rationale is learnt.

    Args:
        part: The part.
        heard_part: `heard_part` of the corpus.
    """
    if part == "heard":
        remedy = f'Begin what follows with "{SYNTHESIS}" on a line of its own'
        return Cut(heard_part, "what is heard cannot be told from what follows", remedy)
    if part == "keywords":
        remedy = f'Begin a line with "{KEYWORDS}" and name them there'
        return Cut(lambda rationale, _: keywords_part(rationale), "there are no keywords", remedy)
    return None


def read_rationales(path: Path | str, cut: Cut | None = None) -> dict[str, str]:
    """Read the rationale of each item from rows with `id` and `rationale`.

    A row with an `outcome` other than "accepted" has no rationale. A later row replaces an earlier one of the same item
    and `key`, even if it has no rationale. Of several keys the last rationale counts.

    Args:
        path: A file of JSON Lines.
        cut: Cuts each rationale, by the classes that its row names (`categories`); None takes all of it.

    Returns:
        Item id → rationale.

    Raises:
        InputError: There is no such file. Or a row is not JSON, has no id, an empty rationale, a key that is not
            text, or a rationale whose parts cannot be told apart; then the error names file and line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        remedy = "Write one with python -m data_curation write."
        raise InputError(f"no such file: {path}", where="data.rationales", remedy=remedy)
    last: dict[tuple[str, object], tuple[str | None, list[str] | None, str]] = {}
    for where, line in numbered_lines(path):
        row = _row(line, where)
        job = (row["id"], row.get("key"))
        last.pop(job, None)
        last[job] = (_rationale(row, where), _categories(row), where)
    accepted = {
        item: (text, categories, where)
        for (item, _), (text, categories, where) in last.items()
        if text is not None
    }
    if cut is None:
        return {item: text for item, (text, _, _) in accepted.items()}
    return {
        item: cut.of(text, item, categories, where=where)
        for item, (text, categories, where) in accepted.items()
    }


def cut_rationales(items: Iterable[Item], cut: Cut, *, where: str) -> dict[str, str]:
    """Return a part of each item's own rationale, by id. Items without a rationale are left out.

    Args:
        items: Items of a corpus.
        cut: Cuts each rationale.
        where: The corpus's file or folder, for the error.

    Raises:
        InputError: The parts of a rationale cannot be told apart; names the item.
    """
    return {item.id: cut.of(item.rationale, item.id, None, where=where) for item in items if item.rationale}


def check_ids(rationales: Mapping[str, str], ids: Iterable[str], *, path: Path | str, corpus: str) -> None:
    """Check that a file's rationales are of a corpus's items.

    Args:
        rationales: What the file holds.
        ids: Of the corpus's items.
        path: The file, for the error.
        corpus: Name of the corpus, for the error.

    Raises:
        InputError: There are rationales, and none is of an item.
    """
    if rationales and set(rationales).isdisjoint(ids):
        raise InputError(
            f"none of its {len(rationales)} ids is an item of corpus {corpus}:",
            where=str(path),
            remedy="was it written for another corpus?",
        )


def _categories(row: dict[str, Any]) -> list[str] | None:
    """The classes that a row of `data_curation` names; None for another row."""
    names = row.get("categories")
    return names if isinstance(names, list) and names and all(isinstance(n, str) for n in names) else None


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json_object(line)
    except InputError as error:
        raise InputError(str(error), where=where) from error
    item = id_text(row.get("id"))
    if item is None:
        raise InputError('a row needs an "id": a text or a whole number', where=where)
    if not isinstance(row.get("key"), str | None):
        raise InputError(f'the "key" of item {item} is no text', where=where)
    return {**row, "id": item}


def _rationale(row: dict[str, Any], where: str) -> str | None:
    if row.get("outcome", "accepted") != "accepted":
        return None
    rationale = row.get("rationale")
    if not isinstance(rationale, str) or not rationale.strip():
        raise InputError(f'item {row["id"]} has no "rationale" text', where=where)
    return rationale.strip()
