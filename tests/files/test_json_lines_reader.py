"""JSON Lines: one object a line, whatever ends the lines; what Python's reader would pass over is refused."""

import json
from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.json_lines import json_object, json_value, numbered_lines

ROWS = [{"id": f"i{n}", "text": "naïve"} for n in range(3)]


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_lines_may_end_as_on_any_system_and_begin_with_a_mark(tmp_path: Path, end: str, mark: str) -> None:
    path = written(
        tmp_path / "r.jsonl", "".join(mark + json.dumps(row, ensure_ascii=False) + end for row in ROWS)
    )
    assert [json_object(line) for _, line in numbered_lines(path)] == ROWS


def test_places_are_file_and_line_and_blank_lines_count(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", '\n{"a": 1}\r{"a": 2}\r\n \n{"a": 3}')
    assert [where.rpartition(":")[2] for where, _ in numbered_lines(path)] == ["2", "3", "5"]
    assert [where.rpartition(":")[2] for where, _ in numbered_lines(path, complete=True)] == ["2", "3"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps(ROWS), r"r\.jsonl: a JSON array in place of JSON Lines: write one object a line"),
        (json.dumps(ROWS, indent=2), r"r\.jsonl: a JSON array in place of JSON Lines"),
        ("[" + ",\n".join(map(json.dumps, ROWS)) + "]\n", r"r\.jsonl: a JSON array in place of JSON Lines"),
        (
            "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
            r"r\.jsonl: a JSON array in place of JSON Lines",
        ),
        (json.dumps(ROWS[0], indent=2), r"r\.jsonl: an object over several lines: write one object a line"),
        ('{"id": "a",\n"text": "b"}\n', r"r\.jsonl: an object over several lines"),
        ('{"a": 1}\n\0\0\0', r"r\.jsonl:2: a zero byte"),
    ],
)
def test_a_file_of_another_form_is_no_matter_of_its_first_line(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        list(numbered_lines(written(tmp_path / "r.jsonl", text)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{'id': 'a'}", r"not JSON: .*: it is in Python's notation; write it with json\.dumps"),
        ('{"id": None}', "not JSON: .*: it is in Python's notation"),
        ('{"id": 1},', "not JSON: Extra data at column 10: end the line after the object, without ','"),
        ('{"id": 1}{"id": 2}', "not JSON: Extra data at column 10: one object a line"),
        ('{"id": 1}, {"id": 2}', "not JSON: Extra data at column 10: one object a line"),
        ('{"id": 1,}', "not JSON: .*: a comma before the end"),
        ('{"id": 1 // no\n}', "not JSON: Expecting ',' delimiter at column 10$"),
        ('{"a": {"b": 1, "b": 1}}', "an object has the key 'b' twice"),
        ('{"a": "\\ud800"}', "not Unicode text"),
        ('["a"]', "a row must be a JSON object, got list"),
        ("9" * 5000, "a number too long or brackets too deep"),
        ("[" * 100_000, "a number too long or brackets too deep"),
    ],
)
def test_a_line_that_is_no_object_says_what_its_writer_meant(line: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        json_object(line.encode())


def test_a_whole_file_is_named_with_the_line() -> None:
    with pytest.raises(InputError, match=r"m\.json:3: not JSON: Expecting value at column 6"):
        json_value('{\n"a": 1,\n"b": }', source="m.json")
    with pytest.raises(InputError, match=r"m\.json: not JSON that can be read: .* 'a' twice"):
        json_value('{"a": 1, "a": 1}', source="m.json")
