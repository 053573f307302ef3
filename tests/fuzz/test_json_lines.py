"""Rows of JSON Lines (items, rationales, curation): a valid record, or one of our errors with its line."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutation import mutated_objects, outcome

from data_curation.records import CurationRow
from data_curation.review.page import write_review
from data_curation.rows import complete_lines, job_states, read_rows
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS, Item
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.rationales import read_rationales

VOTES = {"anger": 3, "neutral": 1.5}
ITEMS = (
    {"categories": ["anger", "neutral", "fear"], "verbalisers": [" anger", " neutral", " fear"]},
    {"id": "a", "audio": "clips/a.wav", "text": "I see.", "votes": VOTES, "speaker": "s1", "rationale": "It is loud."},
    {"id": "b", "text": "No.", "votes": {"fear": 2}, "speaker": "s1"},
    {"id": "c", "audio": "clips/./c.wav", "votes": {"fear": 1, "anger": 1e-3}, "gender": "f"},
    {"id": "d", "text": "So: 'é'.", "votes": {"neutral": 7}},
)  # fmt: skip
REASONING = {
    "keywords": ["loud", "fast"],
    **dict.fromkeys(("text_analysis", "volume", "speed", "pitch", "tone", "synthesis"), "It rises."),
    "class_cues": [{"category": "anger", "cue": "the loudness"}],
}
CURATED = {
    "key": "k1", "corpus": "demo", "id": "a", "writer": "openai", "outcome": "accepted", "reasons": [],
    "categories": ["anger", "neutral"], "votes": [3.0, 1.0], "text": "I see.", "audio": "clips/a.wav",
    "reasoning": REASONING, "rationale": "It rises.", "validated_dist": [0.5, 0.5], "js_bits": 0.1,
    "measurements": {"pitch_hz": 120.0}, "model": "m", "usage": {"prompt_tokens": 3, "cost_usd": 0.5}, "paid_usd": 0.5,
    "calls": [{"role": "writer", "attempt": 1, "reply": "{}", "structured": "tool", "model": "m", "started": "",
               "finished": ""}],
}  # fmt: skip
CURATION = (
    CURATED,
    {**CURATED, "id": "b", "outcome": "rejected", "reasons": ["length: short"], "rationale": None},
    {**CURATED, "key": "k2", "writer": "acoustic", "validated_dist": None, "js_bits": None},
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "rows.jsonl"


@given(
    content=mutated_objects(ITEMS),
    declared=st.booleans(),
    skip=st.booleans(),
    fold=st.sampled_from((None, 3)),
)
def test_items_are_valid_or_refused(
    path: Path, content: bytes, declared: bool, skip: bool, fold: int | None
) -> None:
    path.write_bytes(content if declared else content.partition(b"\n")[2])
    corpus = JsonLines(path, skip_bad_rows=skip, fold=fold)
    items = outcome(lambda: list(corpus.read()))
    if items is None:
        return
    assert len({item.id for item in items}) == len(items)
    for item in items:
        check_item(item, classes=len(corpus.categories), root=path.parent)
    "\n".join(corpus.notes()).encode()


def check_item(item: Item, *, classes: int, root: Path) -> None:
    assert len(item.votes) == classes
    assert all(math.isfinite(vote) and vote >= 0 for vote in item.votes)
    assert sum(item.votes) > 0
    assert sum(item.label_dist) == pytest.approx(1)
    assert item.split in SPLITS
    assert item.audio or item.text
    assert item.audio is None or Path(item.audio).is_relative_to(root)
    for text in (item.id, item.audio, item.text, item.rationale, item.speaker):
        assert text is None or text.strip()
        (text or "").encode("utf-8")


@given(content=mutated_objects(CURATION))
def test_rationales_are_texts_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for item, rationale in (outcome(lambda: read_rationales(path)) or {}).items():
        assert rationale.strip()
        item.encode()
        rationale.encode()


@given(content=mutated_objects(CURATION))
def test_rows_of_curation_are_valid_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    found = outcome(lambda: job_states(complete_lines(path)))
    if found is not None:
        assert all(count > 0 for count, _ in found[0].values())
        assert math.isfinite(found[1])
        assert found[1] >= 0
    for row in outcome(lambda: list(read_rows(path))) or []:
        check_row(row)


def check_row(row: CurationRow) -> None:
    assert len(row.votes) == len(row.categories)
    assert all(math.isfinite(vote) and vote >= 0 for vote in row.votes)
    assert sum(row.votes) > 0
    assert row.outcome != "accepted" or row.rationale is not None
    if row.validated_dist is not None:
        assert len(row.validated_dist) == len(row.categories)
        assert sum(row.validated_dist) == pytest.approx(1, abs=4e-3)
    row.model_dump_json()


def test_the_rows_that_are_changed_are_valid(path: Path, tmp_path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in ITEMS))
    assert len(list(JsonLines(path).read())) == len(ITEMS) - 1
    path.write_text("".join(json.dumps(row) + "\n" for row in CURATION))
    assert read_rationales(path) == {"a": "It rises."}
    assert len(list(read_rows(path))) == len(CURATION)
    write_review(path, tmp_path / "page", audio_root=None)
    path.write_text("{}\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:1"):
        read_rationales(path)
