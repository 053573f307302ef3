"""Responses that are sampled while the step before trains: of its weights, used once, saved, refused like others.

`make test` takes one of each kind of test, `make test-all` the rest.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_stub import EngineStub
from small_model import MakeEncoder, MakePolicy, nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Groups, Item
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.engines.agreement import own_log_probs
from lalm_ambig.rollouts.engines.base import Engine
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.engines.readout import LARGEST_IMPORTANCE
from lalm_ambig.rollouts.engines.vllm import VLLM
from lalm_ambig.rollouts.groups import GroupSampling
from lalm_ambig.rollouts.sampling import Sampling, item_seed
from lalm_ambig.rollouts.step import begin_step, sample_step

SAMPLING = Sampling(max_new_tokens=12, seed=4)
STEP = 0.01
"""How far a step moves the weights here: by less than what makes responses too old."""


@dataclass
class Loop:
    """The sampling of a training loop: each step's responses, and before them the questions of the next one."""

    encoder: Encoder
    engine: Engine

    def settings(self, step: int, engine: Engine | None) -> GroupSampling:
        return GroupSampling(SAMPLING, 3, step, engine=engine)

    def step(self, step: int, batch: Batch, ahead: Sequence[Batch] = ()) -> Groups:
        if ahead:
            begin_step(self.encoder, ahead, self.settings(step + 1, self.engine), weights_of=step)
        return sample_step(self.encoder, [batch], self.settings(step, self.engine))[0]

    def own(self, step: int, batch: Batch) -> Groups:
        """The policy's own responses with its present weights."""
        return sample_step(self.encoder, [batch], self.settings(step, None))[0]

    def save(self) -> list[dict[str, Any]]:
        return [self.engine.pending(self.encoder.policy)]


@pytest.fixture
def begin(make_policy: MakePolicy, make_encoder: MakeEncoder, make_engine: Callable[..., VLLM]) -> Any:
    """Builds a loop around a policy of its own, each time with the same weights."""

    def build(*, moved: int = 0, **settings: Any) -> Loop:
        policy: Tiny = make_policy(projector=True)
        nudge(policy, by=0.05)
        for seed in range(1, moved + 1):
            nudge(policy, seed=seed, by=STEP)
        engine = make_engine(**{"overlap": True, "patience_s": 60.0} | settings)
        engine.check(policy, SAMPLING)
        return Loop(make_encoder(policy), engine)

    return build


def batches_of(loop: Loop, items: Sequence[Item]) -> tuple[Batch, Batch]:
    return loop.encoder(items[:2]), loop.encoder(items[2:])


def questions(stub: EngineStub, item: Item, *, step: int) -> list[dict[str, Any]]:
    """What the server was asked about an item for a step."""
    seed = item_seed(item.id, seed=4, step=step)
    return [body for body in stub.asked if body["seed"] == seed]


@pytest.mark.parametrize("heard", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_responses_are_those_of_the_weights_before_with_the_later_steps_noise(
    begin: Any, stub: EngineStub, items: Sequence[Item], read_items: Sequence[Item], heard: bool
) -> None:
    loop = begin()
    first, second = batches_of(loop, items if heard else read_items)
    plain, before = loop.own(0, first), loop.own(1, second)
    assert torch.equal(loop.step(0, first, [second]).ids, plain.ids), "the first step is sampled plainly"
    nudge(loop.encoder.policy, seed=1, by=STEP)
    asked = len(stub.asked)
    given = loop.step(1, second)
    assert len(stub.asked) <= asked + 3, "whatever was still on its way, and the probe of the new weights"
    assert all(len(questions(stub, item, step=1)) == 1 for item in second.items)
    assert torch.equal(given.ids, before.ids)
    torch.testing.assert_close(given.log_probs, before.log_probs, atol=1e-4, rtol=1e-4)
    now = loop.own(1, second)
    assert not torch.equal(now.ids, before.ids)
    for row, item in enumerate(second.items):
        for n in range(3):
            ids = given.ids[row, n][given.mask[row, n]].tolist()
            own = own_log_probs(loop.encoder.policy, loop.encoder([item]), ids, temperature=1.0)
            position = int(given.answers.position[row, n]) if given.answers is not None else len(ids)
            ratio = (own - given.log_probs[row, n, : len(ids)])[:position].sum().exp()
            assert given.importance is not None
            assert float(given.importance[row, n]) == pytest.approx(
                min(float(ratio), LARGEST_IMPORTANCE), rel=1e-3
            )
    assert given.importance is not None
    assert float((given.importance - 1).abs().max()) > 0.05, "the weights have moved"


def test_training_goes_on_while_the_servers_sample(
    begin: Any, stub: EngineStub, read_items: Sequence[Item]
) -> None:
    """The server holds its answers back until the step has been trained on."""
    loop = begin()
    first, second = batches_of(loop, read_items)
    before = loop.own(1, second)
    later = {item_seed(item.id, seed=4, step=1) for item in second.items}
    arrived, trained, answer = threading.Semaphore(0), threading.Event(), stub.answer

    def held(path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        if body is not None and body.get("seed") in later:
            arrived.release()
            assert trained.wait(60)
        return answer(path, body)

    stub.answer = held  # type: ignore[method-assign]
    loop.step(0, first, [second])
    assert all(arrived.acquire(timeout=60) for _ in later), "the questions come before the step is trained on"
    nudge(loop.encoder.policy, seed=1, by=STEP)
    assert not trained.is_set()
    trained.set()
    assert torch.equal(loop.step(1, second).ids, before.ids)


@pytest.mark.slow
def test_an_items_responses_are_asked_for_once_and_used_once(
    begin: Any, stub: EngineStub, read_items: Sequence[Item]
) -> None:
    loop = begin()
    first = loop.encoder(read_items[:1])
    twice = loop.encoder([read_items[1], read_items[1]])
    loop.step(0, first, [twice])
    given = loop.step(1, twice)
    assert torch.equal(given.ids[0], given.ids[1])
    assert len(questions(stub, read_items[1], step=1)) == 1
    assert torch.equal(loop.step(1, twice).ids, given.ids), "the weights are the same"
    assert len(questions(stub, read_items[1], step=1)) == 3
    loop.step(1, first, [twice])
    loop.step(2, loop.encoder(read_items[2:3]))
    assert torch.equal(loop.step(2, twice).ids, loop.own(2, twice).ids), "also by a later call of the step"


@pytest.mark.slow
def test_what_was_asked_for_another_step_is_not_used(
    begin: Any, read_items: Sequence[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    loop = begin()
    first, second = batches_of(loop, read_items)
    loop.step(0, first, [second])
    nudge(loop.encoder.policy, seed=1, by=STEP)
    assert torch.equal(loop.step(2, second).ids, loop.own(2, second).ids)
    assert "responses sampled ahead are not of step 2, and not used" in capsys.readouterr().err


# Checkpoints


def test_a_resumed_run_has_the_responses_of_the_weights_that_it_lacks(
    begin: Any, stub: EngineStub, read_items: Sequence[Item], tmp_path: Path
) -> None:
    loop = begin()
    first, second = batches_of(loop, read_items)
    loop.step(0, first, [second])
    nudge(loop.encoder.policy, seed=1, by=STEP)
    torch.save(loop.save(), tmp_path / "state")
    given = loop.step(1, second)
    resumed = begin(moved=1)
    resumed.engine.restore(torch.load(tmp_path / "state", weights_only=True))
    asked = len(questions(stub, second.items[0], step=1))
    again = resumed.step(1, second)
    assert len(questions(stub, second.items[0], step=1)) == asked == 1
    for name in ("ids", "log_probs", "predicted_dist", "category_logits", "class_mass", "importance"):
        assert torch.equal(getattr(again, name), getattr(given, name)), name
    assert again.texts == given.texts
    assert resumed.save()[0]["responses"] == {}


@pytest.mark.slow
def test_a_state_has_the_responses_of_all_processes(begin: Any, read_items: Sequence[Item]) -> None:
    loop = begin()
    batch = loop.encoder(read_items)
    before = loop.own(1, batch)
    states = []
    for part in batches_of(loop, read_items):
        one = begin()
        one.step(0, loop.encoder(read_items[:1]), [part])
        states += one.save()
    resumed = begin(moved=1)
    resumed.engine.restore(states)
    assert torch.equal(resumed.step(1, batch).ids, before.ids)


@pytest.mark.slow
def test_a_signal_saves_what_has_come_and_the_rest_is_sampled_anew(
    begin: Any,
    stub: EngineStub,
    read_items: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    loop = begin(requests=1)
    first, second = batches_of(loop, read_items)
    before = loop.own(1, second)
    held, answer = threading.Event(), stub.answer
    last = item_seed(second.items[-1].id, seed=4, step=1)
    faulty = item_seed(second.items[0].id, seed=4, step=1)

    def answered(path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        if body is not None and body.get("seed") == last:
            held.wait(20)
        return answer(path, body)

    stub.answer = answered  # type: ignore[method-assign]
    loop.step(0, first, [second])
    monkeypatch.setattr("lalm_ambig.core.stopping.requested_signal", lambda: signal.SIGTERM)
    monkeypatch.setattr("lalm_ambig.rollouts.engines.ahead.SAVE_WAIT_S", 1.0)
    states = loop.save()
    monkeypatch.undo()
    held.set()
    assert faulty != last
    count = len(second.items)
    line = (
        f"responses to 1 of {count} prompts of the next step have not come: they are sampled anew, by later"
    )
    assert line in capsys.readouterr().err
    resumed = begin(moved=1)
    resumed.engine.restore(states)
    given, now = resumed.step(1, second), resumed.own(1, second)
    width = min(given.ids.shape[-1], before.ids.shape[-1])
    assert torch.equal(given.ids[:-1, :, :width], before.ids[:-1, :, :width])
    assert given.texts[-1] == now.texts[-1] != before.texts[-1]


# Faults


@pytest.mark.parametrize(
    "fault",
    [
        "restart",
        *(
            pytest.param(fault, marks=pytest.mark.slow)
            for fault in ("paused", "html", "reset", "truncated", "wrong text", "name")
        ),
    ],
)
def test_a_fault_while_training_is_asked_away_and_changes_nothing(
    begin: Any, stub: EngineStub, read_items: Sequence[Item], fault: str
) -> None:
    loop = begin()
    first, second = batches_of(loop, read_items)
    before = loop.own(1, second)
    loop.engine.update(loop.encoder.policy, 0)
    stub.faults.extend([fault, "", fault])
    loop.step(0, first, [second])
    nudge(loop.encoder.policy, seed=1, by=STEP)
    assert torch.equal(loop.step(1, second).ids, before.ids)
    assert not stub.faults
    assert len(stub.adapters) == 1


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            "paused",
            r"HTTP 503 at /v1/completions: the engine is paused, for \d+ s\. Start the server\. The same",
        ),
        ("truncated", "a response breaks off before its end, 3 times. The same command"),
        ("name", "it answered as 'someone-else', and 'lalm_ambig-.*' was asked, 3 times. The same command"),
    ],
)
@pytest.mark.parametrize("saves", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_fault_that_stays_ends_the_run_in_one_line_when_the_next_step_begins(
    begin: Any, stub: EngineStub, read_items: Sequence[Item], fault: str, line: str, saves: bool
) -> None:
    loop = begin(patience_s=0.3)
    first, second = batches_of(loop, read_items)
    loop.step(0, first)
    stub.faults.extend([fault] * 1000)
    begin_step(loop.encoder, [second], loop.settings(1, loop.engine), weights_of=0)
    nudge(loop.encoder.policy, seed=1, by=STEP)
    with pytest.raises(InputError, match=line) as raised:
        loop.save() if saves else loop.step(1, second)
    assert "\n" not in str(raised.value)
    loop.engine.close()
    assert not stub.adapters


def test_a_server_that_is_gone_ends_the_run_in_one_line(
    begin: Any, stub: EngineStub, read_items: Sequence[Item]
) -> None:
    loop = begin(patience_s=0.3)
    first, second = batches_of(loop, read_items)
    loop.step(0, first)
    stub.stop()
    begin_step(loop.encoder, [second], loop.settings(1, loop.engine), weights_of=0)
    with pytest.raises(InputError, match=r"no answer at /v1/completions: .*refused.* Start the server"):
        loop.step(1, second)
    loop.engine.close()


@pytest.mark.slow
def test_responses_that_are_too_old_are_sampled_anew(
    begin: Any, read_items: Sequence[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    loop = begin()
    first, second = batches_of(loop, read_items)
    loop.step(0, first, [second])
    nudge(loop.encoder.policy, seed=1, by=0.3)
    given, now = loop.step(1, second), loop.own(1, second)
    assert torch.equal(given.ids, now.ids)
    assert given.importance is not None
    torch.testing.assert_close(given.importance, torch.ones_like(given.importance), atol=1e-3, rtol=0)
    assert "nats a token: the step is sampled anew" in capsys.readouterr().err


@pytest.mark.slow
def test_responses_of_other_weights_are_refused_as_ever(
    begin: Any, stub: EngineStub, read_items: Sequence[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    loop = begin()
    first, second = batches_of(loop, read_items)
    loop.step(0, first)
    stub.faults.extend(["other weights"] * len(second.items))
    begin_step(loop.encoder, [second], loop.settings(1, loop.engine), weights_of=0)
    assert torch.equal(loop.step(1, second).ids, loop.own(1, second).ids)
    assert "differ from the policy by 1.50 nats a token: the step is sampled anew" in capsys.readouterr().err
    begin_step(loop.encoder, [second], loop.settings(2, loop.engine), weights_of=1)
    loop.engine.update(loop.encoder.policy, 2)
    stub.faults.extend(["other weights"] * 1000)
    batch = loop.encoder([replace(one, id=f"{one.id}-again") for one in second.items])
    with pytest.raises(InputError, match=r"sampled responses differ from the policy by 1\.50 nats a token"):
        loop.step(2, batch)


def test_new_weights_are_checked_as_ever(begin: Any, stub: EngineStub, read_items: Sequence[Item]) -> None:
    loop = begin()
    first, second = batches_of(loop, read_items)
    loop.step(0, first, [second])
    nudge(loop.encoder.policy, seed=1, by=STEP)
    stub.stale_loads = 1000
    with pytest.raises(InputError, match="says of new weights what it said of old ones, 3 times"):
        loop.step(1, second)


def test_an_end_leaves_no_adapter_and_no_thread(
    begin: Any, stub: EngineStub, read_items: Sequence[Item], capsys: pytest.CaptureFixture[str]
) -> None:
    threads = set(threading.enumerate())
    loop = begin(requests=1)
    first, second = batches_of(loop, read_items)
    held, answer = threading.Event(), stub.answer

    def answered(path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        if body is not None and body.get("seed") == item_seed(second.items[0].id, seed=4, step=1):
            held.wait(20)
        return answer(path, body)

    stub.answer = answered  # type: ignore[method-assign]
    loop.step(0, first, [second])
    loop.engine.close()
    held.set()
    for thread in set(threading.enumerate()) - threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not stub.adapters, "nothing gives it back to the server"
    assert "started anew" not in capsys.readouterr().err


def test_the_own_loop_has_nothing_to_overlap_with(begin: Any) -> None:
    with pytest.raises(
        InputError, match="in the process that trains, and cannot do both at a time: set overlap"
    ):
        InProcess(overlap=True)
    loop = begin()
    with pytest.raises(InputError, match="InProcess cannot sample while the policy trains"):
        begin_step(loop.encoder, [], loop.settings(1, InProcess()), weights_of=0)
    with pytest.raises(InputError, match="InProcess has begun nothing"):
        InProcess().restore([{"draw": {}}])
    InProcess().restore([{}])
    assert InProcess().pending(loop.encoder.policy) == {}
