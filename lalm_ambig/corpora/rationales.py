"""Curated chains of thought, read from the JSON Lines that `data_curation` writes."""

from pathlib import Path
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import id_text
from lalm_ambig.files.json_lines import json_object, numbered_lines


def read_rationales(path: Path | str) -> dict[str, str]:
    """Read the rationale of each item from rows with `id` and `rationale`.

    A row with an `outcome` other than "accepted" has no rationale. A later row replaces an earlier one of the same item
    and `key`, even if it has no rationale. Of several keys the last rationale counts.

    Args:
        path: A file of JSON Lines.

    Returns:
        Item id → rationale.

    Raises:
        InputError: There is no such file. Or a row is not JSON, has no id, an empty rationale, or a key that is not
            text; then the error names file and line.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        remedy = "Write one with python -m data_curation write."
        raise InputError(f"no such file: {path}", where="data.rationales", remedy=remedy)
    rationales: dict[tuple[str, object], str | None] = {}
    for where, line in numbered_lines(path):
        row = _row(line, where)
        job = (row["id"], row.get("key"))
        rationales.pop(job, None)
        rationales[job] = _rationale(row, where)
    return {item: rationale for (item, _), rationale in rationales.items() if rationale is not None}


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
