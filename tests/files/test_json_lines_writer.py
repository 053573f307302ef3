"""Rows written as JSON Lines: one object per line, all of them or none."""

import json
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import json_object, numbered_lines, write_rows

ROWS = [{"id": "ä", "votes": [1.0, 2.5]}, {"id": "\u2028 \r\n", "votes": []}]


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "new" / "r.jsonl", iter(ROWS))
    assert path.read_bytes() == "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in ROWS).encode()
    assert [json_object(line) for _, line in numbered_lines(path)] == ROWS


def test_half_of_a_surrogate_pair_is_written_as_its_escape(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "r.jsonl", [{"id": "\ud800"}])
    assert path.read_bytes() == b'{"id": "\\ud800"}\n'
    with pytest.raises(InputError, match="not Unicode text"):
        json_object(path.read_bytes())


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_leaves_the_old_file(tmp_path: Path, number: float) -> None:
    path = write_rows(tmp_path / "r.jsonl", ROWS)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_rows(path, [*ROWS, {"value": number}])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
