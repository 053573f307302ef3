"""Reading curated chains of thought: the one place where the trainer meets `data_curation`'s JSON Lines."""

import json
from pathlib import Path
from typing import Any

from lalm_ambig.errors import InputError
from lalm_ambig.items import id_text


def read_rationales(path: Path | str) -> dict[str, str]:
    """Item id → rationale, from JSON Lines rows with `id` and `rationale`.

    Rows whose `outcome` is present and not "accepted" have none. Of several rows for one item the last
    rationale counts; a later row with the same `key` replaces the earlier one, also where it takes the
    rationale back.
    InputError names the file and line of a row that is not JSON, or lacks an id, or holds an empty rationale or a
    key that is no text.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        remedy = "Write one with python -m data_curation write."
        raise InputError(f"no such file: {path}", where="data.rationales", remedy=remedy)
    found: dict[tuple[str, object], str | None] = {}
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                row = _row(line, f"{path}:{number}")
                job = (row["id"], row.get("key"))
                found.pop(job, None)
                found[job] = _rationale(row, f"{path}:{number}")
    return {item: rationale for (item, _), rationale in found.items() if rationale is not None}


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
        if b"\\ud" in line.lower():  # JSON can spell half of a surrogate pair, which no tokeniser takes
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise InputError(f"not a JSON object: {error.msg} at column {error.colno}", where=where) from error
    except UnicodeError as error:
        raise InputError(f"not Unicode text: {error}", where=where) from error
    except (ValueError, RecursionError) as error:
        wrong = "not JSON that can be read: a number too long or brackets too deep"
        raise InputError(wrong, where=where) from error
    item = id_text(row.get("id")) if isinstance(row, dict) else None
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
