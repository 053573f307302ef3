"""Responses from servers are those of the policy's own loop, whatever the servers do; or the run stops in one line."""

import itertools
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from engine_stub import EngineStub
from small_model import MakeEncoder, MakePolicy, nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch, Groups, Item
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.engines.base import Engine
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.engines.vllm import VLLM
from lalm_ambig.rollouts.groups import GroupSampling
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.step import sample_step

SAMPLING = Sampling(max_new_tokens=12, seed=4)


def groups_of(
    encoder: Encoder, batches: Sequence[Batch], engine: Engine | None, *, step: int = 0
) -> list[Groups]:
    return sample_step(encoder, batches, GroupSampling(SAMPLING, 3, step, engine=engine))


def moved(make_policy: MakePolicy, **settings: object) -> Tiny:
    policy = make_policy(**settings)
    nudge(policy, by=0.05)
    return policy


def ready(engine: VLLM, policy: Tiny, sampling: Sampling = SAMPLING) -> VLLM:
    engine.check_reachable()
    engine.check(policy, sampling)
    return engine


def assert_alike(given: Groups, own: Groups) -> None:
    assert torch.equal(given.ids, own.ids)
    assert given.texts == own.texts
    assert given.unparsed == own.unparsed
    for name in ("mask", "is_answer_token", "well_formed", "was_completed", "truncated"):
        assert torch.equal(getattr(given, name), getattr(own, name)), name
    for name in ("log_probs", "predicted_dist", "category_logits", "class_mass"):
        one, other = getattr(given, name), getattr(own, name)
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4, msg=name)
    assert given.importance is not None
    assert own.importance is None
    torch.testing.assert_close(given.importance, torch.ones_like(given.importance), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("heard", "scoring", "readout"),
    [
        (True, "first", "logits"),
        (False, "sequence", "verbalised"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in itertools.product((True, False), ("first", "sequence"), ("logits", "verbalised"))
            if case not in ((True, "first", "logits"), (False, "sequence", "verbalised"))
        ),
    ],
)
def test_groups_are_those_of_the_own_loop(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    items: Sequence[Item],
    read_items: Sequence[Item],
    readout: str,
    scoring: str,
    heard: bool,
) -> None:
    policy = moved(make_policy, projector=True)
    encoder = make_encoder(policy, readout=readout, scoring=scoring)
    mixed = [items[0], read_items[1], items[2], read_items[3]] if heard else list(read_items)
    batches = [encoder(mixed[:1]), encoder(mixed[1:])]
    engine = ready(make_engine(), policy)
    for given, own in zip(
        groups_of(encoder, batches, engine, step=5),
        groups_of(encoder, batches, InProcess(), step=5),
        strict=True,
    ):
        assert_alike(given, own)


def test_portions_of_the_readout_change_nothing(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    read_items: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = moved(make_policy)
    encoder, engine = make_encoder(policy), ready(make_engine(), policy)
    monkeypatch.setattr("lalm_ambig.rollouts.engines.readout.PASS_TOKENS", 1)
    assert_alike(
        groups_of(encoder, [encoder(read_items)], engine)[0],
        groups_of(encoder, [encoder(read_items)], None)[0],
    )


def test_each_step_has_an_adapter_of_a_new_name_and_the_old_one_is_gone(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    stub: EngineStub,
    read_items: Sequence[Item],
    tmp_path: Path,
) -> None:
    policy = moved(make_policy)
    encoder, engine = make_encoder(policy), ready(make_engine(folder=tmp_path), policy)
    for step in (0, 0, 1, 2):
        if step:
            nudge(policy, seed=step, by=0.05)
        groups_of(encoder, [encoder(read_items[:1])], engine, step=step)
        assert len(stub.adapters) == len(list(tmp_path.iterdir())) == 1
    assert len(stub.names_seen) == len(set(stub.names_seen)) == 4, "one before training, and one a step"
    assert stub.loads == ["paused"] * 4
    assert not stub.paused
    assert {body["model"] for body in stub.asked[1:]} == set(stub.names_seen)
    engine.close()
    assert not stub.adapters
    assert not list(tmp_path.iterdir())


def test_prompts_go_to_all_servers_in_turn(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    stub: EngineStub,
    read_items: Sequence[Item],
) -> None:
    policy = moved(make_policy)
    encoder = make_encoder(policy)
    with EngineStub(make_policy(), pauses=False) as other:
        engine = ready(make_engine(stub.url, other.url), policy)
        given = groups_of(encoder, [encoder(read_items)], engine)[0]
        assert other.loads == ["running"] * 2
        assert [len(one.asked) for one in (stub, other)] == [5, 5], "three probes and two prompts each"
    assert_alike(given, groups_of(encoder, [encoder(read_items)], None)[0])


ONCE = (
    "paused",
    "slow",
    "html",
    "empty",
    "reset",
    "restart",
    "truncated",
    "wrong text",
    "wrong names",
    "no such token",
)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=[] if fault in ("restart", "truncated", "nan") else [pytest.mark.slow])
        for fault in (*ONCE, "nan", "aborted", "name")
    ],
)
def test_a_fault_is_asked_away_and_changes_nothing(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    stub: EngineStub,
    read_items: Sequence[Item],
    fault: str,
) -> None:
    policy = moved(make_policy)
    encoder, engine = make_encoder(policy), ready(make_engine(), policy)
    engine.update(policy, 0)
    stub.faults.extend([fault, "", fault])
    given = groups_of(encoder, [encoder(read_items)], engine)[0]
    assert not stub.faults
    assert_alike(given, groups_of(encoder, [encoder(read_items)], None)[0])


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (
            "paused",
            r"HTTP 503 at /v1/completions: the engine is paused, for \d+ s\. Start the server\. The same",
        ),
        ("html", "an answer at /v1/completions that is no JSON: b'<html>'"),
        ("truncated", "a response breaks off before its end, 3 times"),
        ("wrong text", "is not that of its tokens, 3 times"),
        ("wrong names", "its tokens and the names of its log-probabilities differ, 3 times"),
        ("no such token", r"a token that is not among the policy's \d+, 3 times"),
        ("nan", "a log-probability is missing, above 0, or not finite, 3 times"),
        ("aborted", "it ended a response with 'abort', 3 times"),
        ("name", "it answered as 'someone-else', and 'lalm_ambig-.*' was asked, 3 times"),
        ("other weights", "sampled responses differ from the policy by 1.50 nats a token"),
    ],
)
def test_a_fault_that_stays_ends_the_run_in_one_line(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    stub: EngineStub,
    read_items: Sequence[Item],
    fault: str,
    line: str,
) -> None:
    policy = moved(make_policy)
    encoder, engine = make_encoder(policy), ready(make_engine(patience_s=0.3), policy)
    engine.update(policy, 0)
    stub.faults.extend([fault] * 1000)
    with pytest.raises(InputError, match=line) as raised:
        groups_of(encoder, [encoder(read_items)], engine)
    assert "\n" not in str(raised.value)
    assert "The same command goes on from the last checkpoint." in str(raised.value)


def test_a_server_that_is_killed_and_restarted_within_a_step_is_given_the_adapter_again(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    stub: EngineStub,
    read_items: Sequence[Item],
) -> None:
    policy = moved(make_policy)
    encoder, engine = make_encoder(policy), ready(make_engine(patience_s=20.0, requests=1), policy)
    engine.update(policy, 0)
    before, answer = len(stub.asked), stub._complete
    killer = threading.Thread(target=stub.restart, kwargs={"after_s": 0.5})

    def complete(body: dict[str, object]) -> tuple[int, object]:
        if len(stub.asked) == before + 2 and not killer.ident:
            killer.start()
            time.sleep(0.1)
            return 200, "reset"
        return answer(body)

    stub._complete = complete  # type: ignore[method-assign]
    given = groups_of(encoder, [encoder(read_items)], engine)[0]
    killer.join()
    assert len(stub.names_seen) == 3
    assert len(set(stub.names_seen)) == 2, (
        "the same weights under the same name, on a server that has forgotten them"
    )
    assert_alike(given, groups_of(encoder, [encoder(read_items)], None)[0])


def test_a_stale_adapter_is_loaded_anew_or_refused(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    make_engine: type[VLLM],
    stub: EngineStub,
    read_items: Sequence[Item],
    capsys: pytest.CaptureFixture[str],
) -> None:
    policy = moved(make_policy)
    encoder, engine = make_encoder(policy), ready(make_engine(), policy)
    batch = encoder(read_items)
    groups_of(encoder, [batch], engine, step=0)
    nudge(policy, seed=1, by=0.005)
    stub.stale_loads = 1
    given = groups_of(encoder, [batch], engine, step=1)[0]
    assert (
        "says of new weights what it said of old ones: the adapter is loaded anew" in capsys.readouterr().err
    )
    assert_alike(given, groups_of(encoder, [batch], None, step=1)[0])
    nudge(policy, seed=2, by=0.005)
    stub.stale_loads = 1000
    with pytest.raises(
        InputError, match=r"says of new weights what it said of old ones, 3 times\. The same command"
    ):
        groups_of(encoder, [batch], engine, step=2)


def test_what_is_no_server_or_another_is_refused(
    make_policy: MakePolicy, make_engine: type[VLLM], stub: EngineStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = moved(make_policy)
    monkeypatch.setattr("lalm_ambig.rollouts.engines.vllm.AT_START_S", 0.1)
    with pytest.raises(
        InputError, match=r"127.0.0.1:9: no answer at /v1/models: .*refused.*Start the server"
    ):
        make_engine("http://127.0.0.1:9").check_reachable()
    with pytest.raises(
        InputError, match=r"it serves base-model, and not mine: set model.engine.model to one of"
    ):
        make_engine(model="mine").check_reachable()
    with pytest.raises(InputError, match=r"addresses such as http://127.0.0.1:8000, got 'localhost:8000'"):
        make_engine("localhost:8000")
    with pytest.raises(InputError, match="patience_s must be positive, got 0"):
        make_engine(patience_s=0.0)
    monkeypatch.setattr(stub, "_tokenize", lambda _: (200, {"tokens": [1, 2]}))
    with pytest.raises(InputError, match="its tokenizer is not that of tiny"):
        ready(make_engine(), policy)


def test_another_base_model_is_refused(make_policy: MakePolicy, make_engine: type[VLLM]) -> None:
    other = make_policy()
    with torch.no_grad():
        other.language_model.layers[0].mlp.down_proj.base_layer.weight.add_(0.3)
    with (
        EngineStub(other) as server,
        pytest.raises(InputError, match=r"nats a token, .*: another model\. Serve the"),
    ):
        ready(make_engine(server.url), make_policy())


@pytest.mark.parametrize(
    ("adapter", "sampling", "line"),
    [
        ({"method": "full"}, SAMPLING, "a server is given LoRA adapters, and policy.adapter.method is full"),
        ({}, Sampling(top_p=0.9), "do not say what top_p and top_k leave out"),
        ({}, Sampling(top_k=5), "do not say what top_p and top_k leave out"),
    ],
)
def test_what_a_server_cannot_sample_is_refused(
    make_policy: MakePolicy,
    make_engine: type[VLLM],
    adapter: dict[str, object],
    sampling: Sampling,
    line: str,
) -> None:
    with pytest.raises(InputError, match=line):
        ready(make_engine(), make_policy(**adapter), sampling)


def test_a_temperature_is_sampled_at_or_refused(
    make_policy: MakePolicy, make_engine: type[VLLM], stub: EngineStub
) -> None:
    policy = moved(make_policy)
    ready(make_engine(), policy, Sampling(temperature=0.5))
    ready(make_engine(), policy, Sampling(temperature=0.0))
    stub.raw_temperature = True
    with pytest.raises(
        InputError, match=r"those of temperature 1, not 0.5. Start it with --logprobs-mode processed"
    ):
        ready(make_engine(), policy, Sampling(temperature=0.5))


def test_a_server_that_takes_no_such_adapter_says_so_before_training(
    make_policy: MakePolicy, make_engine: type[VLLM], stub: EngineStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy(rank=32)
    line = r"it refuses: HTTP 500: LoRA rank 32 is greater than .*Start it with a larger --max-lora-rank"
    with pytest.raises(InputError, match=line):
        ready(make_engine(), policy)
    monkeypatch.setattr(stub, "_load", lambda _: (404, {"detail": "Not Found"}))
    with pytest.raises(
        InputError, match=r"HTTP 404: Not Found. Start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"
    ):
        ready(make_engine(), policy)
