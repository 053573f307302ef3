"""The key `annotators` of JSON Lines: votes from ratings, profiles, and malformed ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.jsonl.corpus import JsonLines

HEAD = {"categories": ["anger", "fear"], "profiles": {"x": "Age: 26\n"}}


def corpus(folder: Path, *rows: dict[str, Any], head: dict[str, Any] | None = HEAD) -> JsonLines:
    path = folder / "items.jsonl"
    lines = [*([head] if head else []), *({"text": "a text", **row} for row in rows)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return JsonLines(path)


def items(folder: Path, *rows: dict[str, Any], **more: Any) -> list[Item]:
    return list(corpus(folder, *rows, **more).read())


def test_votes_are_counted_from_ratings(tmp_path: Path) -> None:
    [item] = items(tmp_path, {"id": "a", "annotators": {"x": "Anger", "y": ["anger", "fear"]}})
    assert item.votes == (2.0, 1.0)
    assert item.ratings == (("x", 0), ("y", 0), ("y", 1))


def test_votes_beside_ratings_must_be_theirs(tmp_path: Path) -> None:
    ratings = {"x": "anger", "y": "fear"}
    [item] = items(tmp_path, {"id": "a", "votes": {"ANGER": 1, "fear": 1}, "annotators": ratings})
    assert item.ratings == (("x", 0), ("y", 1))
    with pytest.raises(
        InputError, match=r"item 'a' has 2 votes for 'anger', but 1 of its annotators chose it: leave"
    ):
        items(tmp_path, {"id": "a", "votes": {"anger": 2, "fear": 1}, "annotators": ratings})
    with pytest.raises(InputError, match=r"item 'a' has 0 votes for 'fear', but 1"):
        items(tmp_path, {"id": "a", "votes": {"anger": 1}, "annotators": ratings})


def test_a_row_without_annotators_stays_as_it_was(tmp_path: Path) -> None:
    for nobody in ({}, {"annotators": None}):
        [item] = items(tmp_path, {"id": "a", "votes": {"anger": 2.5}, **nobody})
        assert (item.votes, item.ratings) == ((2.5, 0.0), ())


def test_without_a_first_line_classes_are_those_of_the_ratings(tmp_path: Path) -> None:
    rows = [{"id": str(n), "annotators": {"x": name}} for n, name in enumerate(("fear", "Anger", "anger"))]
    found = corpus(tmp_path, *rows, head=None)
    assert found.categories.names == ("Anger", "fear")
    assert [item.annotations for item in found.read()] == [(1,), (0,), (0,)]
    assert found.annotator_profiles() == {}


def test_profiles_are_in_the_first_line(tmp_path: Path) -> None:
    assert corpus(tmp_path, {"id": "a", "annotators": {"x": "fear"}}).annotator_profiles() == {"x": "Age: 26"}
    wrong = {**HEAD, "profiles": {"x": 26}}
    with pytest.raises(
        InputError, match=r'items\.jsonl:1: "profiles" must be an object of annotator and text'
    ):
        items(tmp_path, {"id": "a", "annotators": {"x": "fear"}}, head=wrong)


@pytest.mark.parametrize(
    ("annotators", "message"),
    [
        (5, r'"annotators" of item \'a\' must be an object of annotator and class'),
        (["x", "y"], r"must be an object of annotator .*; a key of another meaning needs another name"),
        ({"x": 3}, r"annotator 'x' of item 'a' must have a class or a list of classes, got 3"),
        ({"x": []}, r"must have a class or a list of classes, got \[\]"),
        ({"x": ["fear", None]}, r"must have a class or a list of classes"),
        ({"x": ["fear", "Fear"]}, r"annotator 'x' of item 'a' has one class twice"),
        ({" ": "fear"}, r"an annotator of item 'a' has no name"),
        ({"x": "fear", "x ": "anger"}, r"item 'a' names an annotator twice"),
        ({"x": "joy"}, r"votes for unknown class 'joy': expected anger, fear"),
        ({}, r"item 'a' needs \"votes\""),
    ],
)
def test_malformed_ratings_are_one_line(tmp_path: Path, annotators: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        items(tmp_path, {"id": "a", "annotators": annotators})
    assert "\n" not in str(raised.value)
    assert "items.jsonl:2" in str(raised.value)


def test_another_spelling_of_the_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"write the key 'Annotators' as \"annotators\""):
        items(tmp_path, {"id": "a", "votes": {"fear": 1}, "Annotators": {"x": "fear"}})
