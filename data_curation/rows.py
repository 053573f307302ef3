"""Reads a curation file, row by row and without its lock, so that a run may write to it at the same time."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data_curation.records import CurationRow
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import json_object, numbered_lines

Job = tuple[str, str]
"""Item id and content address."""
JobStates = dict[Job, tuple[int, str]]
"""For each job, its number of rows and the outcome of the last one."""

SUM_TOLERANCE = 4e-3
"""Largest distance of a distribution's sum from 1. The same as in `core.distributions`, whose import needs torch."""
MOST_USD = 1e9
"""More than any row can cost, in US dollars."""


def complete_lines(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each complete line of a file. A last line that is still being written is left out.

    Yields:
        `FILE:NUMBER` for messages, and the line.

    Raises:
        InputError: There is no such file.
    """
    if not path.is_file():
        raise InputError(f"no such file: {path}", remedy="Write one with python -m data_curation write.")
    yield from numbered_lines(path, complete=True)


def read_rows(path: Path) -> Iterator[CurationRow]:
    """The last row of each job, in the order of the file. It takes two passes, with one row in memory at a time.

    Raises:
        InputError: There is no such file, or a line is not a row of curation.
    """
    last: dict[Job, str] = {}
    for where, line in complete_lines(path):
        fields = row_fields(line, where)
        last[fields["id"], fields["key"]] = where
    for where, line in complete_lines(path):
        fields = row_fields(line, where)
        if last.get((fields["id"], fields["key"])) == where:
            yield parse_row(line, where)


def job_states(lines: Iterable[tuple[str, bytes]]) -> tuple[JobStates, float]:
    """The state of each job, and the cost of all rows in US dollars."""
    states: JobStates = {}
    spent_usd = 0.0
    for where, line in lines:
        fields = row_fields(line, where)
        job = (fields["id"], fields["key"])
        states[job] = (states.get(job, (0, ""))[0] + 1, fields["outcome"])
        spent_usd += _paid_usd(fields, where)
    return states, spent_usd


def parse_row(line: bytes | str, where: str) -> CurationRow:
    """Parse and check one row.

    Raises:
        InputError: A field is missing or wrong; the message names the field and the line.
    """
    try:
        row = CurationRow.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "row"
        raise InputError(f"not a row of curation: {field}: {first['msg']}", where=where) from error
    for name, numbers in (("votes", row.votes), ("validated_dist", row.validated_dist)):
        if numbers is not None and not _are_shares(numbers, len(row.categories)):
            wrong = f"{name} must be {len(row.categories)} numbers of 0 or more that are not all 0"
            raise InputError(f"not a row of curation: {wrong}", where=where)
    if row.validated_dist is not None and abs(sum(row.validated_dist) - 1) > SUM_TOLERANCE:
        raise InputError("not a row of curation: validated_dist does not sum to 1", where=where)
    if row.outcome == "accepted" and row.rationale is None:
        raise InputError("not a row of curation: it is accepted and has no rationale", where=where)
    return row


def _are_shares(numbers: Sequence[float], count: int) -> bool:
    return len(numbers) == count and all(number >= 0 for number in numbers) and 0 < sum(numbers) < math.inf


def _paid_usd(fields: dict[str, Any], where: str) -> float:
    paid = fields.get("paid_usd", 0.0)
    if not isinstance(paid, int | float) or isinstance(paid, bool) or not 0 <= paid <= MOST_USD:
        raise InputError(f'not a row of curation: "paid_usd" is no amount: {str(paid)[:40]}', where=where)
    return float(paid)


def row_fields(line: bytes, where: str) -> dict[str, Any]:
    """Parse the JSON object of a row. Only its id, key and outcome are checked.

    Args:
        line: The row.
        where: File and line, for messages.

    Raises:
        InputError: The line is not a JSON object, or one of the three is missing or no text.
    """
    try:
        fields = json_object(line)
    except InputError as error:
        raise InputError(str(error), where=where) from error
    names = ("id", "key", "outcome")
    if not all(isinstance(fields.get(name), str) for name in names):
        raise InputError('not a row of curation: it needs "id", "key" and "outcome"', where=where)
    return fields
