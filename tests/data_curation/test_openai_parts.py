"""The parts of the openai writer by themselves: gate, budget, breaker, parsing, verdict, content address."""

import asyncio
import email.utils
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_curation.chat.budget import Budget, Prices, prices_of
from data_curation.chat.failures import retry_after_s
from data_curation.chat.gate import Gate, RunStopped
from data_curation.chat.limits import Breaker
from data_curation.chat.parse import Refused, Unreadable, read_distribution, read_reasoning, usage_of
from data_curation.clips import open_clip, relative_name
from data_curation.journal import Journal
from data_curation.judge import js_bits
from data_curation.questions import job_key, writer_question
from data_curation.records import Usage
from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item

CLASSES = ("anger", "fear", "neutral")
ITEM = Item("a", (3.0, 0.0, 1.0), text="Don't forget a jacket.")


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def gate(clock: Clock, lines: list[str], **limits: int) -> Gate:
    return Gate(clock=clock, announce=lines.append, **limits)


def waits(gate: Gate, tokens: int = 1) -> float:
    """Seconds that a call would wait now."""
    return max(0.0, gate._wait_s(tokens))


def test_no_more_requests_a_minute_than_asked() -> None:
    clock = Clock()
    limited = gate(clock, [], rpm=2)
    for _ in range(2):
        asyncio.run(limited.enter(10))
        clock.now_s += 1
    assert waits(limited) == pytest.approx(58)
    clock.now_s += 58
    assert waits(limited) == 0


def test_tokens_count_at_their_worst_until_the_reply_says_and_a_large_call_alone_is_let_through() -> None:
    clock = Clock()
    limited = gate(clock, [], tpm=1000)
    slot = asyncio.run(limited.enter(5000))
    assert waits(limited, 100) == pytest.approx(60)
    limited.correct(slot, 300)
    assert waits(limited, 700) == 0 and waits(limited, 701) == pytest.approx(60)


def test_a_cool_down_is_announced_once_and_a_shorter_one_changes_nothing() -> None:
    clock, lines = Clock(), list[str]()
    cooling = gate(clock, lines)
    cooling.cool_down(600.0, "HTTP 429")
    cooling.cool_down(5.0, "HTTP 429")
    assert lines == ["cooling down for 600 s, all calls wait: HTTP 429"]
    clock.now_s += 599
    assert cooling.cooling_s == pytest.approx(1) and waits(cooling) == pytest.approx(1)
    clock.now_s += 1
    assert waits(cooling) == 0


def test_a_stop_wakes_who_waits_and_lets_nobody_in() -> None:
    async def wait_and_stop() -> None:
        waiting = gate(Clock(), [])
        waiting.cool_down(600.0, "")
        entering = asyncio.create_task(waiting.enter(1))
        await asyncio.sleep(0.01)
        waiting.stop(RunStopped("first"))
        waiting.stop(RunStopped("second"))
        with pytest.raises(RunStopped, match="first"):
            await entering

    asyncio.run(wait_and_stop())


def test_the_budget_waits_for_calls_in_flight_and_stops_only_when_they_cannot_help() -> None:
    async def spend() -> list[str]:
        budget, log = Budget(1.0), list[str]()

        async def call(name: str, worst_usd: float, paid_usd: float) -> None:
            try:
                async with budget.reserve(worst_usd) as reservation:
                    log.append(name)
                    await asyncio.sleep(0.01)
                    reservation.paid_usd = paid_usd
            except RunStopped as stop:
                log.append(f"{name}: {stop.reason}")

        await asyncio.gather(call("a", 0.6, 0.1), call("b", 0.6, 0.5), call("c", 0.6, 0.1))
        assert budget.spent_usd == pytest.approx(0.6)
        return log

    log = asyncio.run(spend())
    assert log[:2] == ["a", "b"] and log[2].startswith("c: --max-cost-usd 1 is reached: 0.6000 are spent")


def test_a_call_costs_by_its_kinds_of_token() -> None:
    prices = Prices(text_in=2.0, audio_in=30.0, out=10.0)
    usage = Usage(prompt_tokens=1000, audio_tokens=100, completion_tokens=50)
    assert prices.cost_usd(usage) == pytest.approx((900 * 2 + 100 * 30 + 50 * 10) / 1e6)


def test_the_worst_case_is_never_below_the_usual_one() -> None:
    prices = prices_of("gpt-audio-1.5", {})
    assert prices is not None
    ask = writer_question(ITEM, CLASSES, clip=None, max_tokens=1200)
    assert prices.worst(ask).cost_usd > prices.usual(ask).cost_usd > 0
    assert prices.worst(ask).completion_tokens == 1200


def test_the_breaker_trips_in_a_row_or_by_share_and_a_success_resets_the_row() -> None:
    breaker = Breaker(concurrency=1)
    assert all(breaker.failed() is None for _ in range(19))
    breaker.succeeded()
    assert all(breaker.failed() is None for _ in range(19))
    assert "20 calls in a row failed" in str(breaker.failed())
    sometimes = Breaker(concurrency=100)
    reasons = []
    for _ in range(120):
        sometimes.succeeded()
        reasons += [sometimes.failed(), sometimes.failed()]
    assert any("% of the last" in str(reason) for reason in reasons)


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_retry_after_in_seconds_and_milliseconds(headers: dict[str, str], expected_s: float | None) -> None:
    assert retry_after_s(headers) == expected_s


def test_retry_after_as_a_date() -> None:
    wait_s = retry_after_s({"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert wait_s is not None and 28 <= wait_s <= 30


def replying(content: str | None = None, **message: object) -> str:
    finish = message.pop("finish_reason", "stop")
    choice = {"index": 0, "finish_reason": finish, "message": {"content": content, **message}}
    return json.dumps({"choices": [choice]})


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"anger": 3, "NEUTRAL": 1}', (0.75, 0.0, 0.25)),
        ('I think {"anger": 1} but no: {"anger": 1, "fear": 1}', (0.5, 0.5, 0.0)),
        ('{"anger": 0}', "all shares are 0"),
        ('{"joy": 1}', "unknown class"),
        ('{"anger": -1}', "no share"),
        ('{"anger": NaN}', "no share"),
        ('{"anger": "1"}', "no share"),
        ('{"anger": true}', "no share"),
        ("no object", "no JSON object"),
        ("", "empty"),
    ],
)
def test_a_distribution_is_read_or_called_unreadable_but_never_guessed(
    written: str, expected: tuple[float, ...] | str
) -> None:
    result = read_distribution(replying(written), CLASSES)
    if isinstance(expected, str):
        assert isinstance(result, Unreadable) and expected in result.reason
    else:
        assert result == pytest.approx(expected)


def test_refusals_and_unreadable_replies_are_told_apart() -> None:
    assert read_reasoning(replying(refusal="no")) == Refused("no")
    assert isinstance(read_reasoning(replying("{", finish_reason="content_filter")), Refused)
    assert isinstance(read_reasoning(replying("{}", finish_reason="length")), Unreadable)
    assert isinstance(read_reasoning(replying('{"volume": 3}')), Unreadable)
    for odd in ("[]", "{}", '{"choices": []}', '{"choices": [{"message": null}]}', "null"):
        assert isinstance(read_reasoning(odd), Unreadable)
    assert usage_of({"usage": {"prompt_tokens": "many"}}) is None


def test_js_is_that_of_the_trainer() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        p, q = torch.rand(2, 5, generator=generator, dtype=torch.float64)
        p[torch.rand(5, generator=generator) < 0.4] = 0
        p, q = (p + 1e-9) / (p + 1e-9).sum(), q / q.sum()
        assert js_bits(p.tolist(), q.tolist()) == pytest.approx(float(js_divergence(p, q)), abs=1e-9)
    assert js_bits((1.0, 0.0), (0.0, 1.0)) == 1.0 and js_bits((0.5, 0.5), (0.5, 0.5)) == 0.0


def test_the_content_address_changes_with_everything_that_is_sent_and_with_nothing_else() -> None:
    def key(item: Item, **changed: object) -> str:
        settings = {"model": "m", "temperature": None} | changed
        return job_key(item, CLASSES, audio_sha256="abc", settings=settings)

    base = key(ITEM)
    assert key(replace(ITEM, id="b", speaker="s", split="test")) == base
    assert key(replace(ITEM, votes=(6.0, 0.0, 2.0))) == base  # the same distribution is the same request
    others = [key(replace(ITEM, text="x")), key(replace(ITEM, votes=(2.0, 0.0, 2.0)))]
    others += [key(ITEM, model="n"), key(ITEM, temperature=1.0)]
    others += [job_key(ITEM, CLASSES, audio_sha256="abd", settings={"model": "m", "temperature": None})]
    others += [job_key(ITEM, CLASSES[::-1], audio_sha256="abc", settings={"model": "m", "temperature": None})]
    assert len({base, *others}) == 7


def test_names_in_records_show_no_folder_outside_the_corpus(tmp_path: Path) -> None:
    assert relative_name(tmp_path / "a" / "b.wav", root=tmp_path) == "a/b.wav"
    assert relative_name(Path("/home/somebody/b.wav"), root=tmp_path) == "b.wav"
    with pytest.raises(InputError, match=r"^b\.wav: cannot be read"):
        open_clip(tmp_path / "b.wav", root=tmp_path)


def test_a_journal_keeps_whole_lines_in_order_and_drops_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "j"

    async def fill() -> None:
        with Journal(path) as journal:
            await asyncio.gather(*(journal.append(f"line {n}") for n in range(50)))

    asyncio.run(fill())
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    with Journal(path) as journal:
        assert journal.dropped_bytes == 200_000
        assert [line for _, line in journal.lines()] == [f"line {n}\n".encode() for n in range(50)]
        with pytest.raises(InputError, match="another process is writing"):
            Journal(path)


def test_a_full_disk_is_one_line_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.append_now("first")

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(InputError, match="cannot be written: No space left on device"):
            journal.append_now("second")
    assert (tmp_path / "j").read_text() == "first\n"
