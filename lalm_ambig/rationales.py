"""Reading curated chains of thought: the one place where the trainer meets `data_curation`'s JSON Lines."""

import json
from pathlib import Path

from lalm_ambig.errors import InputError


def read_rationales(path: Path | str) -> dict[str, str]:
    """Item id → rationale, from JSON Lines rows with `id` and `rationale`.

    Rows whose `outcome` is present and not "accepted" are passed over; of several rows for one item the last counts.
    InputError names the file and line of a row that is not JSON, or lacks an id, or holds an empty rationale.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"no such file: {path}", where="data.rationales", remedy="Write one with python -m data_curation write.")
    found: dict[str, str] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                entry = _entry(line, f"{path}:{number}")
                if entry is not None:
                    found[entry[0]] = entry[1]
    return found


def _entry(line: str, where: str) -> tuple[str, str] | None:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"not a JSON object: {error.msg} at column {error.colno}", where=where) from error
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise InputError('a row needs a string "id"', where=where)
    if row.get("outcome", "accepted") != "accepted":
        return None
    rationale = row.get("rationale")
    if not isinstance(rationale, str) or not rationale.strip():
        raise InputError(f'item {row["id"]} has no "rationale" text', where=where)
    return row["id"], rationale.strip()
