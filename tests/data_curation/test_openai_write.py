"""`write --writer openai`: requests, rows, and costs."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from aiohttp import web
from small_corpus import Finished, make_corpus, rows_of, run_cli, run_main, write_arguments
from stub_server import PARAGRAPH, Received, StubServer, message_with, reasoning, reply

from data_curation.acoustic.writer import VERSION
from data_curation.store import Store
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.corpora.rationales import read_rationales


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer() as server:
        yield server


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus") / "c", 40)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def write(corpus: Path, out: Path, stub: StubServer, *more: object) -> Finished:
    return run_main(*write_arguments(corpus, out, stub.url), *more)


def writing(**changes: object) -> object:
    """A misbehaviour: the stub's writer with some fields changed, as long as it is not told to do better."""

    async def misbehave(came: Received) -> web.Response | None:
        if came.role == "validator" or "not accepted" in came.text:
            return None
        return reply(came, **message_with(came, json.dumps(reasoning(came.text) | changes)))

    return misbehave


def test_the_clip_goes_up_as_16_bit_wav_with_its_words_and_the_division(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    assert write(corpus, out, stub, "--limit", 1).code == 0
    asked = stub.received[0]
    samples, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(asked.sounds[0])), dtype="int16")
    sent, _ = soundfile.read(corpus / "AudioWAV" / "1001_IEO_ANG_XX.wav", dtype="int16")
    assert rate_hz == 16_000 and abs(samples.astype(int) - sent.astype(int)).max() <= 1
    assert "It's eleven o'clock." in asked.text and "anger 60%, neutral 40%" in asked.text
    assert asked.body["tool_choice"] == {"type": "function", "function": {"name": "record_reasoning"}}
    schema = asked.body["tools"][0]["function"]["parameters"]
    assert schema["properties"]["class_cues"]["items"]["properties"]["category"]["enum"][0] == "anger"


def test_the_validator_gets_the_reasoning_and_the_classes_and_nothing_else(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    write(corpus, out, stub, "--limit", 1, "--validator-model", "other")
    asked = stub.received[1]
    assert asked.role == "validator" and asked.body["model"] == "other"
    assert isinstance(asked.body["messages"][1]["content"], str) and PARAGRAPH in asked.text
    text = json.dumps(asked.body)
    assert "eleven" not in text and "60" not in text and "1001_IEO" not in text


def test_a_row_says_where_it_came_from_and_the_trainer_reads_it(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    ended = write(corpus, out, stub, "--limit", 4, "--concurrency", 1)
    rows = rows_of(out)
    assert ended.code == 0 and [row["outcome"] for row in rows] == ["accepted"] * 4
    row = rows[0]
    assert (row["writer"], row["corpus"], row["audio"]) == (
        "openai",
        "crema_d",
        "AudioWAV/1001_IEO_ANG_XX.wav",
    )
    assert [call["role"] for call in row["calls"]] == ["writer", "validator"]
    assert row["calls"][0]["model"] == "gpt-audio-1.5-2026-01-01" and row["calls"][0]["request_id"] == "req_1"
    assert row["usage"]["prompt_tokens"] == 1800 and row["usage"]["audio_tokens"] == 30
    assert row["paid_usd"] == pytest.approx((1770 * 2.5 + 30 * 32 + 600 * 10) / 1e6)
    assert row["js_bits"] < 0.15 and row["started"] < row["finished"]
    assert read_rationales(out)[row["id"]] == row["rationale"]
    assert "accepted" in ended.out and "$0.0455" in ended.out
    assert not out.with_name("out.jsonl.pending").exists()


def test_the_same_command_again_sends_nothing_and_more_items_send_only_theirs(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    write(corpus, out, stub, "--limit", 4)
    write(corpus, out, stub, "--limit", 4)
    assert stub.count == 8
    write(corpus, out, stub, "--limit", 6)
    assert stub.count == 12 and len({row["id"] for row in rows_of(out)}) == len(rows_of(out)) == 6


def test_another_model_or_clip_is_another_request(stub: StubServer, tmp_path: Path, out: Path) -> None:
    corpus = make_corpus(tmp_path / "own", 2)
    write(corpus, out, stub)
    write(corpus, out, stub, "--model", "gpt-audio")
    assert stub.count == 8 and len({row["key"] for row in rows_of(out)}) == 4
    clip = corpus / "AudioWAV" / "1001_IEO_ANG_XX.wav"
    samples, rate_hz = soundfile.read(clip)
    soundfile.write(clip, samples * 0.5, rate_hz, subtype="PCM_16")
    write(corpus, out, stub)
    assert stub.count == 10


def test_a_broken_rule_is_rewritten_with_its_reason(stub: StubServer, corpus: Path, out: Path) -> None:
    stub.misbehave = writing(volume="It is loud at 70 decibels.")  # type: ignore[assignment]
    assert write(corpus, out, stub, "--limit", 1).code == 0
    row = rows_of(out)[0]
    assert (row["outcome"], row["attempts"], stub.count) == ("accepted", 2, 3)
    assert "numbers: states a number: '70'" in stub.received[1].text
    assert "It is loud at 70 decibels." in stub.received[1].text


def test_reasoning_that_does_not_support_the_votes_is_rejected_after_so_many_attempts(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    async def misleading(came: Received) -> web.Response | None:
        if came.role == "validator":
            return None
        fields = reasoning(came.text) | {
            "synthesis": "On balance fear is overwhelming and the rest is absent."
        }
        return reply(came, **message_with(came, json.dumps(fields)))

    stub.misbehave = misleading
    ended = write(corpus, out, stub, "--limit", 1, "--attempts", 2)
    row = rows_of(out)[0]
    assert ended.code == 0 and (row["outcome"], row["attempts"], stub.count) == ("rejected", 2, 4)
    assert row["js_bits"] > 0.9 and row["rationale"] is None and row["reasoning"] is not None
    assert (
        "from the text alone a reader expects" in row["reasons"][0] and "fear 100%" in stub.received[2].text
    )
    stub.misbehave = None
    write(corpus, out, stub, "--limit", 1)
    assert stub.count == 4
    write(corpus, out, stub, "--limit", 1, "--retry-failed")
    assert stub.count == 6 and [row["outcome"] for row in rows_of(out)] == ["rejected", "accepted"]


def test_a_validator_that_cannot_be_read_is_asked_once_more_and_then_recorded(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    async def gibberish(came: Received) -> web.Response | None:
        return reply(came, **message_with(came, '{"joy": 1}')) if came.role == "validator" else None

    stub.misbehave = gibberish
    write(corpus, out, stub, "--limit", 1)
    row = rows_of(out)[0]
    assert (row["outcome"], stub.count) == ("unreadable", 3)
    assert row["reasons"] == ["validator: unknown class 'joy'"]


def test_the_cap_is_never_passed_with_calls_in_flight(stub: StubServer, corpus: Path, out: Path) -> None:
    stub.latency_s = 0.02
    ended = write(corpus, out, stub, "--concurrency", 16, "--max-cost-usd", 0.2)
    assert ended.code == 1 and "--max-cost-usd 0.2 is reached" in ended.err
    with Store(out) as store:
        assert 0.1 < store.spent_usd <= 0.2
    writers = sum(came.role == "writer" for came in stub.received)
    assert store.spent_usd == pytest.approx(writers * 0.006135 + (stub.count - writers) * 0.00525)
    before = stub.count
    assert write(corpus, out, stub, "--max-cost-usd", 0.2).code == 1 and stub.count == before
    assert write(corpus, out, stub, "--max-cost-usd", 5).code == 0 and len(rows_of(out)) == 40
    assert stub.answered == 80


def test_a_cap_needs_prices_and_unknown_ones_are_named(stub: StubServer, corpus: Path, out: Path) -> None:
    ended = write(corpus, out, stub, "--limit", 1, "--model", "mine", "--max-cost-usd", 1)
    assert ended.code == 2 and "no price is known for mine" in ended.err and stub.count == 0
    ended = write(corpus, out, stub, "--limit", 1, "--model", "mine")
    assert ended.code == 0 and "its cost counts as 0" in ended.err
    ended = write(corpus, out, stub, "--limit", 1, "--model", "m", "--price-out", 1)
    assert ended.code == 2 and "give --price-audio-in, --price-text-in too" in ended.err


def test_a_dry_run_needs_no_key_and_neither_sends_nor_writes(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    ended = run_main(*write_arguments(corpus, out, stub.url), "--dry-run", OPENAI_API_KEY="")
    assert ended.code == 0 and stub.count == 0 and not out.exists()
    assert "40" in ended.out and "10.0 s" in ended.out and "$" in ended.out
    write(corpus, out, stub, "--limit", 10)
    ended = run_main(*write_arguments(corpus, out, stub.url), "--dry-run")
    assert "30" in ended.out and "finished by earlier runs │ 10" in ended.out


def test_a_dry_runs_range_holds_what_is_paid(stub: StubServer, corpus: Path, out: Path) -> None:
    planned = run_main(*write_arguments(corpus, out, stub.url), "--dry-run").out
    least, most = (float(part.split()[0]) for part in planned.split("$")[1:3])
    write(corpus, out, stub)
    assert least * 0.5 <= sum(row["paid_usd"] for row in rows_of(out)) <= most


def test_a_preview_shows_what_was_written(stub: StubServer, corpus: Path, out: Path) -> None:
    ended = write(corpus, out, stub, "--preview", 2)
    assert len(rows_of(out)) == 2 and PARAGRAPH in ended.out and "anger 6, neutral 4" in ended.out


def test_a_second_process_on_the_same_file_is_refused(stub: StubServer, corpus: Path, out: Path) -> None:
    with Store(out):
        ended = run_cli(*write_arguments(corpus, out, stub.url))
    assert ended.returncode == 2 and stub.count == 0
    assert len(ended.stderr.splitlines()) == 1 and "another process is writing to this file" in ended.stderr


def test_a_torn_last_line_is_dropped_with_a_warning_and_its_item_done_again(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    write(corpus, out, stub, "--limit", 3)
    content = out.read_bytes()
    out.write_bytes(content[:-100])
    ended = write(corpus, out, stub, "--limit", 3)
    assert ended.code == 0 and "ended in a torn line" in ended.err
    assert len({row["id"] for row in rows_of(out)}) == len(rows_of(out)) == 3 and stub.count == 8


def test_a_line_that_is_no_row_is_named(stub: StubServer, corpus: Path, out: Path) -> None:
    out.write_text('{"id": "a", "rationale": "b"}\n')
    ended = write(corpus, out, stub)
    assert ended.code == 2 and "out.jsonl:1: not a row of curation" in ended.err


def test_a_broken_clip_is_left_out_unpaid(stub: StubServer, tmp_path: Path, out: Path) -> None:
    corpus = make_corpus(tmp_path / "own", 3)
    (corpus / "AudioWAV" / "1002_IEO_ANG_XX.wav").write_bytes(b"RIFF nonsense")
    ended = write(corpus, out, stub)
    assert ended.code == 0 and len(rows_of(out)) == 2 and stub.count == 4
    assert "1002_IEO_ANG_XX: left out: AudioWAV/1002_IEO_ANG_XX.wav" in ended.err


def test_a_licensed_corpus_is_sent_only_when_that_is_confirmed(
    stub: StubServer, corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CremaD, "licensed", True)
    ended = write(corpus, out, stub, "--limit", 1)
    assert ended.code == 2 and "--confirm-upload" in ended.err and stub.count == 0
    assert write(corpus, out, stub, "--limit", 1, "--confirm-upload").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base-url", "http://example.com/v1"], "would send the key and the clips in the clear"),
        (["--base-url", "nonsense"], "not a URL"),
        (["--attempts", 0], "--attempts: must be at least 1"),
        (["--js-threshold", 1.5], r"--js-threshold: must be in (0, 1]"),
        (["--concurrency", 0], "--concurrency: must not be below 1"),
        (["--rpm", 0], "--rpm: must be at least 1"),
        (["--max-cost-usd", 0], "--max-cost-usd: must be above 0"),
        (["--limit", 0], "--limit: must be at least 1"),
    ],
)
def test_a_setting_that_means_nothing_is_one_line(
    stub: StubServer, corpus: Path, out: Path, arguments: list[object], message: str
) -> None:
    ended = write(corpus, out, stub, *arguments)
    assert ended.code == 2 and message in ended.err and len(ended.err.splitlines()) == 1 and stub.count == 0


def test_a_missing_key_is_named_unless_the_server_is_on_this_machine(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    elsewhere = write_arguments(corpus, out, "https://example.com/v1")
    remote = run_main(*elsewhere, "--confirm-upload", OPENAI_API_KEY="")
    assert remote.code == 2 and "OPENAI_API_KEY is not set" in remote.err
    local = run_main(*write_arguments(corpus, out, stub.url), "--limit", 1, OPENAI_API_KEY="")
    assert local.code == 0


def test_nothing_is_sent_to_another_machine_unless_that_was_confirmed(corpus: Path, out: Path) -> None:
    refused = run_main(*write_arguments(corpus, out, "https://192.0.2.1/v1"), OPENAI_API_KEY="sk-test")
    assert refused.code == 2 and refused.err.count("\n") == 1
    assert "that is another machine" in refused.err and "--confirm-upload" in refused.err


def test_neither_key_nor_audio_nor_home_is_in_any_output_even_when_debugging(
    stub: StubServer, corpus: Path, out: Path
) -> None:
    ended = run_cli(*write_arguments(corpus, out, stub.url), "--limit", 2, OPENAI_LOG="debug")
    assert (
        ended.returncode == 0 and stub.received[0].headers["Authorization"] == "Bearer sk-test-secret-123456"
    )
    everything = ended.stdout + ended.stderr + out.read_text()
    for hidden in ("secret", stub.received[0].sounds[0][:60], str(corpus.parent)):
        assert hidden not in everything


def test_the_acoustic_writer_fills_the_same_file_offline_and_deterministically(
    corpus: Path, tmp_path: Path
) -> None:
    arguments = ["write", "--corpus", "crema_d", "--root", corpus, "--writer", "acoustic", "--limit", 3]
    rows = []
    for name in ("a.jsonl", "b.jsonl"):
        ended = run_main(*arguments, "--out", tmp_path / name)
        assert ended.code == 0 and "finished by earlier runs" in ended.out
        rows.append(rows_of(tmp_path / name))
    assert [row["reasoning"] for row in rows[0]] == [row["reasoning"] for row in rows[1]]
    assert {row["writer"] for row in rows[0]} == {"acoustic"} and rows[0][0]["model"] is None
    assert {row["writer_version"] for row in rows[0]} == {VERSION}
    assert run_main(*arguments, "--out", tmp_path / "a.jsonl").code == 0
    assert len(rows_of(tmp_path / "a.jsonl")) == 3


def test_a_dry_run_of_the_acoustic_writer_is_a_mistake(corpus: Path, out: Path) -> None:
    arguments = ["write", "--corpus", "crema_d", "--root", corpus, "--writer", "acoustic", "--out", out]
    ended = run_main(*arguments, "--dry-run")
    assert ended.code == 2 and "the acoustic writer has neither" in ended.err


def test_texts_without_sound_are_curated_too_and_a_listed_clip_is_named_from_its_list(
    stub: StubServer, corpus: Path, out: Path, tmp_path: Path
) -> None:
    clip = corpus / "AudioWAV" / "1001_IEO_ANG_XX.wav"
    (tmp_path / "a.wav").write_bytes(clip.read_bytes())
    items = [
        {"id": "spoken", "audio": "a.wav", "text": "Hello.", "votes": {"joy": 2, "anger": 1}},
        {"id": "written", "text": "Well, well.", "votes": {"joy": 1, "anger": 1}},
    ]
    listed = tmp_path / "items.jsonl"
    listed.write_text("".join(json.dumps(item) + "\n" for item in items))
    arguments = ["write", "--corpus", "jsonl", "--root", listed, "--writer", "openai", "--base-url", stub.url]
    ended = run_main(*arguments, "--out", out)
    assert ended.code == 0, ended.err
    rows = {row["id"]: row for row in rows_of(out)}
    assert rows["spoken"]["audio"] == "a.wav" and rows["written"]["audio"] is None
    assert {row["outcome"] for row in rows.values()} == {"accepted"}
    texts = [came.text for came in stub.received if "Well, well." in came.text]
    assert len(texts) == 1 and "Recording: none" in texts[0]
