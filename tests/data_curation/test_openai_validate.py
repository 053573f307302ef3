"""`validate`: verdicts anew from the kept replies."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_corpus import make_corpus, rows_of, run_main, write_arguments
from stub_server import Received, StubServer, message_with, reply

from lalm_ambig.corpora.rationales import read_rationales


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture
def written(stub: StubServer, tmp_path: Path) -> Path:
    out = tmp_path / "out.jsonl"

    async def vague(came: Received) -> object:
        """A validator that is a little off."""
        if came.role == "writer":
            return None
        return reply(came, **message_with(came, json.dumps({"anger": 0.5, "neutral": 0.5})))

    stub.misbehave = vague  # type: ignore[assignment]
    assert run_main(*write_arguments(make_corpus(tmp_path / "c", 1), out, stub.url)).code == 0
    stub.misbehave = None
    assert rows_of(out)[0]["outcome"] == "accepted" and 0.005 < rows_of(out)[0]["js_bits"] < 0.01
    return out


def test_nothing_changes_and_nothing_is_sent_when_the_rules_are_the_same(
    stub: StubServer, written: Path
) -> None:
    before = written.read_bytes(), stub.count
    ended = run_main("validate", written, "--update")
    assert ended.code == 0 and (written.read_bytes(), stub.count) == before
    assert "from the kept replies, nothing paid" in ended.out


def test_a_stricter_threshold_rejects_and_update_withdraws_the_rationale(
    stub: StubServer, written: Path
) -> None:
    before = written.read_bytes()
    ended = run_main("validate", written, "--js-threshold", 0.005)
    assert ended.code == 1 and "accepted → rejected" in ended.out and written.read_bytes() == before
    assert run_main("validate", written, "--js-threshold", 0.005, "--update").code == 1
    assert [row["outcome"] for row in rows_of(written)] == ["accepted", "rejected"]
    assert rows_of(written)[1]["paid_usd"] == 0 and read_rationales(written) == {}
    assert run_main("validate", written, "--update").code == 0
    assert rows_of(written)[-1]["outcome"] == "accepted" and len(read_rationales(written)) == 1
    assert stub.count == 2


def test_the_model_is_asked_again_only_with_the_flag(stub: StubServer, written: Path) -> None:
    ended = run_main("validate", written, "--ask-model", "--base-url", stub.url)
    row = rows_of(written)[-1]
    assert ended.code == 0 and stub.count == 3 and "the validator was asked again, $0.0053" in ended.out
    assert len(row["calls"]) == 3 and row["paid_usd"] == pytest.approx(0.00525) and row["js_bits"] < 1e-4


def test_acoustic_rows_are_held_to_the_rules_and_it_says_so(written: Path, tmp_path: Path) -> None:
    row = rows_of(written)[0] | {"writer": "acoustic", "calls": [], "model": None}
    broken = row | {"id": "b", "reasoning": row["reasoning"] | {"pitch": ""}}
    mixed = tmp_path / "acoustic.jsonl"
    mixed.write_text("".join(json.dumps(line) + "\n" for line in (row, broken)))
    ended = run_main("validate", mixed)
    assert ended.code == 1 and "b: accepted → rejected sections: pitch is empty" in ended.out
    assert "acoustic rows: the rules only; no model validates them" in ended.out


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    ended = run_main("validate", tmp_path / "none.jsonl")
    assert ended.code == 2 and "no such file" in ended.err
