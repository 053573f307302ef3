"""predictions.jsonl: what is written is read again, and what is malformed is named by file and line."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Reading
from lalm_ambig.evaluation.predictions import Prediction, from_reading, read_predictions, write_predictions
from lalm_ambig.files.atomic import write_lines


def test_what_is_written_is_read_again(tmp_path: Path, predictions: list[Prediction]) -> None:
    baseline = replace(
        predictions[0], id="Ünïcode\n", speaker=None, class_mass=None, response=None, closed=None
    )
    path = write_predictions(tmp_path / "new" / "predictions.jsonl", [*predictions, baseline])
    assert read_predictions(path) == [*predictions, baseline]
    assert len(path.read_text(encoding="utf-8").splitlines()) == 61


def test_a_reading_becomes_predictions_in_the_order_of_its_items() -> None:
    items = [Item("a", (1.0, 3.0), speaker="s"), Item("b", (2.0, 0.0), split="validation")]
    dist = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    reading = Reading(dist, torch.tensor([0.5, 0.25]), ("x", "y"), (True, False))
    assert from_reading(items, reading) == [
        Prediction("a", "train", "s", (1.0, 3.0), (0.25, 0.75), (0.25, 0.75), 0.5, "x", True),
        Prediction("b", "validation", None, (2.0, 0.0), (1.0, 0.0), (0.5, 0.5), 0.25, "y", False),
    ]
    with pytest.raises(ValueError, match="1 items but 2 readings"):
        from_reading(items[:1], reading)


BAD = [
    ({"id": ""}, "'id' must be a non-empty string"),
    ({"id": 3.5}, "'id' must be a non-empty string, got 3.5"),
    ({"id": [3]}, r"'id' must be a non-empty string, got \[3\]"),
    ({"split": "dev"}, "'split' must be one of train, validation, test, got 'dev'"),
    ({"speaker": [7]}, "'speaker' must be a string or null"),
    ({"votes": [1, -1, 2]}, "'votes' must be a list of numbers >= 0"),
    ({"votes": [0, 0, 0]}, "not all 0"),
    ({"votes": "many"}, "'votes' must be a list"),
    ({"label_dist": [0.5, 0.5]}, "'label_dist' has 2 classes, votes 3"),
    ({"predicted_dist": [0.5, 0.5, 0.5]}, "'predicted_dist' sums to 1.5000, not to 1"),
    ({"predicted_dist": [0.5, True, 0.5]}, "'predicted_dist' must be a list of numbers"),
    ({"predicted_dist": [0.5, float("nan"), 0.5]}, "'predicted_dist' must be a list of numbers"),
    ({"class_mass": 1.5}, r"'class_mass' must be a number in \[0, 1\] or null, got 1.5"),
    ({"response": 1}, "'response' must be a string or null"),
    ({"closed": 1}, "'closed' must be true, false or null"),
    ({"extra": 1}, "unknown key 'extra'"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_a_malformed_row_is_named_with_its_line(
    tmp_path: Path, predictions: list[Prediction], change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "p.jsonl"
    lines = [json.dumps(asdict(predictions[0])), json.dumps({**asdict(predictions[1]), **change})]
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match=rf"p\.jsonl:2: .*{message}"):
        read_predictions(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{oops", "not JSON: Expecting property name"),
        ("[1]", "a row must be a JSON object, got list"),
        ('{"id": "a", "id": "b"}', "not JSON that can be read: an object has the key 'id' twice"),
        ("{}", "'id' is missing"),
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"p\.jsonl:1: {message}"):
        read_predictions(path)


def test_a_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file: .*none\.jsonl"):
        read_predictions(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match=r"empty\.jsonl holds no prediction"):
        read_predictions(tmp_path / "empty.jsonl")


def test_two_rows_of_one_item_and_rows_of_other_classes_are_refused(
    tmp_path: Path, predictions: list[Prediction]
) -> None:
    path = write_predictions(tmp_path / "p.jsonl", [predictions[0], predictions[0]])
    with pytest.raises(InputError, match=r"p\.jsonl:2: item clip 0 stands twice"):
        read_predictions(path)
    two = replace(predictions[1], votes=(1.0, 1.0), label_dist=(0.5, 0.5), predicted_dist=(0.5, 0.5))
    with pytest.raises(InputError, match=r"p\.jsonl:2: 2 classes, but the first line has 3"):
        read_predictions(write_predictions(path, [predictions[0], two]))


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, predictions: list[Prediction]
) -> None:
    path = write_predictions(tmp_path / "p.jsonl", predictions[:2])
    with pytest.raises(ValueError, match="JSON compliant"):
        write_predictions(path, [predictions[0], replace(predictions[1], class_mass=float("nan"))])

    def broken() -> Any:
        yield "half of it"
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        write_lines(path, broken())
    assert read_predictions(path) == predictions[:2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.jsonl"]
