"""A loop that drops its finished rows gives what one gives that carries them to its end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from small_checkpoints import write_causal_lm, write_omni
from small_model import MakeEncoder, nudge
from test_stepping import recording, traced
from torch import Tensor

import lalm_ambig.rollouts.generate as generation
from lalm_ambig.core.types import Batch, Item
from lalm_ambig.policies.attention.rollout_cache import RolloutCache
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.rollouts.generate import GeneratedBatch, Request, Response, generate
from lalm_ambig.rollouts.reading import read_generated
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise

TOKENS, COPIES = 24, 3
NEVER = 2.0
SETTINGS: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "mistral": {"sliding_window": 12},
    "rwkv": {"attention_hidden_size": 64},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False, "num_experts": 2},
}
"""Text models: with a window, of recurrent layers only, and of both kinds of layers."""
WHOLE = "jamba"
"""Its cache holds more than keys and values, so that rows cannot be parted."""
KINDS = ("audio", "omni", *SETTINGS)
LIMITS = (3, 24, 11, 17)
Drop = Callable[[float], list[int]]
"""From now on, rows are dropped once that share of a loop has finished; returns the numbers of rows that go on."""


@pytest.fixture
def drop(monkeypatch: pytest.MonkeyPatch) -> Drop:
    left: list[int] = []
    go_on = generation._Loop.keep

    def counted(loop: Any, rows: Sequence[int]) -> None:
        left.append(len(rows))
        go_on(loop, rows)

    def at(share: float) -> list[int]:
        monkeypatch.setattr(generation, "FINISHED_SHARE", {"cpu": share})
        monkeypatch.setattr(generation, "FEWEST_ROWS", 1)
        left.clear()
        return left

    monkeypatch.setattr(generation._Loop, "keep", counted)
    return at


@pytest.fixture(scope="module", params=KINDS)
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    kind, folder = request.param, tmp_path_factory.mktemp(request.param) / "model"
    torch.manual_seed(0)
    if kind == "audio":
        policy: Policy = Tiny(adapter=Adapter(rank=4))
    elif kind == "omni":
        policy = Qwen2_5Omni(str(write_omni(folder)), adapter=Adapter(rank=4), dtype="float32")
    else:
        written = write_causal_lm(folder, kind, **SETTINGS[kind])
        policy = CausalLM(str(written), adapter=Adapter(rank=4), dtype="float32")
    policy.load()
    nudge(policy)
    policy.ends = list(range(0, len(policy.tokenizer), 12))  # a random model's turns have many lengths then
    return policy


def batch_of(policy: Policy, make_encoder: MakeEncoder, items: Sequence[Item]) -> Batch:
    """Prompts of several lengths."""
    if isinstance(policy, CausalLM):
        items = [replace(item, audio=None, text=f"It is {'very ' * n}calm") for n, item in enumerate(items)]
    return make_encoder(policy)(items)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Made:
    """What is compared of a loop."""

    responses: list[Response]
    states: Tensor
    after: list[list[Tensor]]
    loop: GeneratedBatch


def sampled(policy: Policy, batch: Batch, *, temperature: float = 1.0, **settings: Any) -> Made:
    """Responses to each prompt, the states at their anchors, and those of three names that follow."""
    request = Request(
        Sampling(max_new_tokens=TOKENS, temperature=temperature, merge_adapter=False),
        group_size=COPIES,
        anchor="e",
        stop=("ha",),
        max_tokens_after_anchor=9,
        **settings,
    )
    ids = [item.id for item in batch.items]
    noise = uniform_noise(ids, seed=1, step=0, group_size=COPIES, tokens=TOKENS)
    made = generate(policy, batch, request, noise=noise)
    assert made.anchor_states is not None
    names = [[[5, 9], [7], []][: 1 + row % 3] for row in range(len(made.responses))]
    return Made(made.responses, made.anchor_states, made.continue_from_anchor(names), made)


def same(found: Made, expected: Made) -> None:
    for one, other in zip(found.responses, expected.responses, strict=True):
        assert replace(one, log_probs=[]) == replace(other, log_probs=[])
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
        assert len(one.log_probs) == len(one.ids)
    torch.testing.assert_close(found.states, expected.states, atol=1e-4, rtol=1e-4)
    for row, other_row in zip(found.after, expected.after, strict=True):
        for state, other_state in zip(row, other_row, strict=True):
            torch.testing.assert_close(state, other_state, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("share", [True, False])
def test_dropping_finished_rows_changes_no_response(
    policy: Policy,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
    drop: Drop,
    share: bool,
) -> None:
    batch = batch_of(policy, make_encoder, items)
    assert not drop(NEVER)
    expected = sampled(policy, batch, share_prompt=share, limits=LIMITS)
    assert len({len(r.ids) for r in expected.responses}) > 4
    for finished in (1e-9, 0.4):
        left = drop(finished)
        same(sampled(policy, batch, share_prompt=share, limits=LIMITS), expected)
        assert left == sorted(set(left), reverse=True)
        assert bool(left) == (policy.language_model.config.model_type != WHOLE)


def test_dropping_finished_rows_changes_no_greedy_response(
    policy: Policy, make_encoder: MakeEncoder, items: Sequence[Item], drop: Drop
) -> None:
    batch = batch_of(policy, make_encoder, items)
    drop(NEVER)
    expected = sampled(policy, batch, temperature=0.0, limits=LIMITS)
    left = drop(1e-9)
    same(sampled(policy, batch, temperature=0.0, limits=LIMITS), expected)
    assert left or policy.language_model.config.model_type == WHOLE


@pytest.mark.parametrize("share", [True, False])
def test_an_evaluation_that_drops_rows_reads_the_same(
    policy: Policy, make_encoder: MakeEncoder, items: Sequence[Item], drop: Drop, share: bool
) -> None:
    encoder = make_encoder(policy, scoring="sequence")  # type: ignore[arg-type]
    batch, answer = batch_of(policy, make_encoder, items), encoder.answer
    assert answer is not None
    drop(NEVER)
    expected = read_generated(policy, batch, answer, max_new_tokens=TOKENS, share=share)
    drop(1e-9)
    found = read_generated(policy, batch, answer, max_new_tokens=TOKENS, share=share)
    for name in ("predicted_dist", "class_mass", "well_formed", "tokens"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), atol=1e-5, rtol=1e-4)
    assert (found.responses, found.was_completed) == (expected.responses, expected.was_completed)


@pytest.mark.parametrize("policy", ["mistral"], indirect=True)
def test_a_recorded_loop_that_drops_rows_is_recorded_anew(
    policy: Policy,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
    drop: Drop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = batch_of(policy, make_encoder, items)
    drop(NEVER)
    expected = sampled(policy, batch)
    made, left = recording(monkeypatch, traced), drop(0.4)
    same(sampled(policy, batch), expected)
    assert len(made) >= len(left) > 1


@pytest.mark.parametrize("group_size", [1, 2, 8])
def test_prompts_are_held_at_most_twice_and_responses_once(group_size: int) -> None:
    prompts, tokens = 8, 5
    packed = torch.randn(1, 2, prompts * tokens, 4)
    paths = [[slice(n * tokens, (n + 1) * tokens)] for n in range(prompts)]
    cache = RolloutCache([(packed, packed.clone())], paths, group_size=group_size)
    rows = prompts * group_size
    cache.responses = [(torch.randn(rows, 2, 16, 4), torch.randn(rows, 2, 16, 4))]
    whole = {"prompts": cache.prompts[0][0].numel(), "responses": cache.responses[0][0].numel()}
    # The rows finish one by one, the first of the others each time.
    caches = [cache, *(cache.put_aside(list(range(1, left)), [0]) for left in range(rows, 1, -1))]
    keys = {name: [getattr(one, name)[0][0] for one in caches] for name in whole}
    held = {name: sum({t.data_ptr(): t.numel() for t in every}.values()) for name, every in keys.items()}
    assert held["prompts"] <= (1 if group_size == 1 else 2) * whole["prompts"]
    assert held["responses"] == whole["responses"]
