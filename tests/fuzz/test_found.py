"""What `make fuzz` has found, each as the smallest file that showed it (the configurations are in their own test)."""

import json
from pathlib import Path

import pytest

from data_curation.chat.parse import Unreadable, read_distribution, read_reasoning, usage_of
from data_curation.rows import complete_lines, job_states, read_rows
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.rationales import read_rationales
from lalm_ambig.evaluation.about import About
from lalm_ambig.evaluation.predictions import Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.record_types import wrong_fields
from lalm_ambig.evaluation.results_file import read_results

DEEP = "[" * 100_000
DIGITS = "9" * 5000
GOOD = Prediction("a", "test", None, (1.0, 2.0), (0.25, 0.75), (0.5, 0.5))
CURATED = {
    "key": "k", "corpus": "demo", "id": "a", "writer": "acoustic", "outcome": "rejected", "categories": ["x", "y"],
    "votes": [1, 2],
}  # fmt: skip


@pytest.mark.parametrize("line", [DEEP, DIGITS, b"\xff", '{"id": "\\ud800"}', '{"id": "a", "key": [1]}'])
def test_a_rationale_row_that_json_trips_over_is_one_line(tmp_path: Path, line: str | bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'{"id": "b", "rationale": "x"}\n' + (line if isinstance(line, bytes) else line.encode())
    )
    with pytest.raises(InputError, match=r"rows\.jsonl:2: ") as raised:
        read_rationales(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("paid", [None, "much", [1], float("nan"), -1, 10**400, True])
def test_a_price_that_is_none_is_one_line(tmp_path: Path, paid: object) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({**CURATED, "paid_usd": paid}) + "\n")
    with pytest.raises(InputError, match=r'rows\.jsonl:1: not a row of curation: "paid_usd" is no amount'):
        job_states(complete_lines(path))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_last_row_of_curation_that_is_still_written_is_left_out(tmp_path: Path, end: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(f"{json.dumps(CURATED)}{end}{json.dumps(CURATED)[:20]}".encode())
    assert [row.id for row in read_rows(path)] == ["a"]
    path.write_bytes(f"{json.dumps(CURATED)}{end}".encode("utf-16"))
    with pytest.raises(InputError, match=r"rows\.jsonl: not UTF-8 but UTF-16"):
        list(read_rows(path))


def test_a_curation_row_that_is_nested_too_deep_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text(DEEP + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:1: not JSON"):
        list(read_rows(tmp_path / "rows.jsonl"))


@pytest.mark.parametrize(
    "changed",
    [
        {"votes": [0, 0]},
        {"votes": [1]},
        {"votes": [-1, 2]},
        {"votes": [float("nan"), 1]},
        {"validated_dist": [1, 2, 3]},
        {"validated_dist": [True, 0.5]},
        {"outcome": "accepted"},
    ],
)
def test_a_curation_row_that_contradicts_itself_is_one_line(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(CURATED) + "\n" + json.dumps({**CURATED, "id": "b", **changed}) + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not a row of curation"):
        list(read_rows(path))


@pytest.mark.parametrize("line", [DEEP, DIGITS, '{"id": "\\ud800"}'])
def test_a_prediction_that_json_trips_over_is_one_line(tmp_path: Path, line: str) -> None:
    path = write_predictions(tmp_path / "predictions.jsonl", [GOOD])
    path.write_text(path.read_text() + line)
    with pytest.raises(InputError, match=r"predictions\.jsonl:2: not "):
        read_predictions(path)


@pytest.mark.parametrize("field", ["votes", "label_dist", "predicted_dist", "class_mass"])
def test_a_prediction_with_a_number_beyond_all_floats_is_one_line(tmp_path: Path, field: str) -> None:
    path = write_predictions(tmp_path / "predictions.jsonl", [GOOD])
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, field: 10**400 if field == "class_mass" else [10**400, 1]}) + "\n")
    with pytest.raises(InputError, match=rf"predictions\.jsonl:1: '{field}' must be"):
        read_predictions(path)


def test_a_class_mass_that_is_written_as_a_whole_number_is_read(tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "predictions.jsonl", [GOOD])
    path.write_text(json.dumps({**json.loads(path.read_text()), "class_mass": 1}) + "\n")
    assert read_predictions(path)[0].class_mass == 1.0


@pytest.mark.parametrize("content", [DEEP, DIGITS, '{"categories": ["x", "x"]}'])
def test_metrics_that_json_trips_over_are_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(InputError, match=r"metrics\.json: not a metrics\.json"):
        read_results(tmp_path / "metrics.json")


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        ("left_out", "3", True),
        ("left_out", True, True),
        ("left_out", 10**400, True),
        ("left_out", 3, False),
        ("temperature", 2, False),
        ("temperature", None, False),
        ("reasoning", "thinking", True),
        ("table_metrics", ("bc", 3), True),
        ("corpus", "\ud800", True),
    ],
)
def test_a_field_of_another_type_is_named(field: str, value: object, wrong: bool) -> None:
    about = About("demo", "test", "none", "none", "-")
    object.__setattr__(about, field, value)  # past the check that tests have and users have not
    assert list(wrong_fields(about)) == ([field] if wrong else [])


def reply(content: str) -> str:
    return json.dumps({"choices": [{"message": {"content": content}}]})


@pytest.mark.parametrize(
    "content", [DEEP, '{"a":' * 2000, f'{{"x": 1{"0" * 400}}}', '{"x": 1e308, "y": 1e308}']
)
def test_a_reply_that_json_or_floats_trip_over_is_unreadable(content: str) -> None:
    assert isinstance(read_distribution(reply(content), ("x", "y")), Unreadable)
    assert isinstance(read_reasoning(content), Unreadable)


@pytest.mark.parametrize("count", ["many", [3], -1, 10**20, True, 1.5])
def test_tokens_that_are_no_count_are_not_taken_for_one(count: object) -> None:
    assert usage_of({"usage": {"prompt_tokens": 3, "completion_tokens": count}}) is None
    assert usage_of({"usage": {"prompt_tokens": count}}) is None
