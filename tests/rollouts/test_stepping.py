"""A recorded decode step gives what the step gives by itself.

A step is recorded here as a graph of torch's operators with fixed tensors, whose repetition runs none of the product's
code: like a CUDA graph, it has every number of the host as it was while recording. So a step that depends on one fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from small_checkpoints import write_causal_lm
from small_model import MakeEncoder, nudge
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

import lalm_ambig.policies.attention.rollout_cache as rollout_cache
import lalm_ambig.rollouts.generate as generation
from lalm_ambig.core.types import Batch, Item
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.rollouts.decoder import RolloutDecoder, SharedDecoder
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise
from lalm_ambig.rollouts.stepping import OneByOne, Recorded, Step, Stepping, stepping

FAMILIES = ("qwen2", "mistral", "phi3")
TOKENS = 24
ONE = pytest.mark.parametrize("policy", FAMILIES[:1], indirect=True)
"""For what the loop does, whatever the attention."""


def traced(step: Callable[[], Step]) -> tuple[Step, Callable[[], None]]:
    """Record a step as a graph of operators; a repetition writes into the same outputs."""
    nothing = torch.zeros(())
    graph = make_fx(lambda _: step())(nothing)
    outputs = tuple(output.clone() for output in step())

    def repeat() -> None:
        for kept, new in zip(outputs, graph(nothing), strict=True):
            kept.copy_(new)

    return outputs, repeat  # type: ignore[return-value]


@pytest.fixture(scope="module", params=FAMILIES)
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    torch.manual_seed(0)
    window = {"sliding_window": 12} if request.param == "mistral" else {}
    folder = write_causal_lm(tmp_path_factory.mktemp(request.param) / "model", request.param, **window)
    policy = CausalLM(str(folder), adapter=Adapter(rank=4), dtype="float32")
    policy.load()
    nudge(policy)
    policy.ends = [-1]  # every response has its longest length
    return policy


@pytest.fixture
def texts(items: Sequence[Item]) -> list[Item]:
    """Items without sound, whose prompts have several lengths."""
    return [replace(item, audio=None, text=f"It is {'very ' * n}calm") for n, item in enumerate(items)]


def request_of(sampling: Sampling, group_size: int = 3) -> Request:
    return Request(sampling, group_size=group_size, stop=("</answer>",), anchor="<answer>")


def sampled(policy: Policy, batch: Batch, sampling: Sampling) -> tuple[list[list[int]], Tensor, Tensor]:
    """Tokens, log-probabilities and anchor states of three responses to each prompt."""
    ids = [item.id for item in batch.items]
    noise = uniform_noise(ids, seed=1, step=0, group_size=3, tokens=sampling.max_new_tokens)
    made = generate(policy, batch, request_of(sampling), noise=noise)
    assert made.anchor_states is not None
    log_probs = torch.tensor([value for r in made.responses for value in r.log_probs])
    return [r.ids for r in made.responses], log_probs, made.anchor_states


def recording(monkeypatch: pytest.MonkeyPatch, record: Callable[[Callable[[], Step]], object]) -> list[int]:
    """From now on loops record their steps; returns the list of recordings to come, by tokens before them."""
    made: list[int] = []

    def counted(step: Callable[[], Step]) -> object:
        made.append(0)
        return record(step)

    def chosen(policy: Policy, decoder: RolloutDecoder, sampling: Sampling, noise: Tensor) -> Stepping:
        assert isinstance(decoder, SharedDecoder)
        return Recorded(policy, decoder, sampling, noise, record=counted)  # type: ignore[arg-type]

    monkeypatch.setattr(generation, "stepping", chosen)
    return made


PLAIN = Sampling(max_new_tokens=TOKENS)


@pytest.mark.parametrize(
    ("policy", "sampling"),
    [
        ("qwen2", PLAIN),
        ("phi3", PLAIN),
        ("mistral", replace(PLAIN, temperature=0.0)),
        ("mistral", replace(PLAIN, temperature=0.8, top_p=0.9, top_k=40)),
    ],
    ids=["qwen2-plain", "phi3-plain", "mistral-greedy", "mistral-truncated"],
    indirect=["policy"],
)
def test_a_recorded_step_gives_the_same_responses(
    policy: CausalLM,
    make_encoder: MakeEncoder,
    texts: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
    sampling: Sampling,
) -> None:
    monkeypatch.setattr(rollout_cache, "FIRST_ROOM", 8)
    batch = make_encoder(policy)(texts)
    ids, log_probs, states = sampled(policy, batch, sampling)
    made = recording(monkeypatch, traced)
    again = sampled(policy, batch, sampling)
    same = [row for row, (one, other) in enumerate(zip(again[0], ids, strict=True)) if one == other]
    assert len(same) >= len(ids) - 1  # of twelve, one may have met a joint between two tokens' shares
    for found, expected in zip(again[1:], (log_probs.view(len(ids), -1), states), strict=True):
        torch.testing.assert_close(found.view(len(ids), -1)[same], expected[same], atol=1e-4, rtol=1e-4)
    assert len(made) == 3  # buffers of 8, 16 and 32 tokens


def test_names_are_scored_after_a_recorded_loop_as_after_another(
    policy: CausalLM, make_encoder: MakeEncoder, texts: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make_encoder(policy)
    batch, greedy = encoder(texts), Sampling(max_new_tokens=12, temperature=0.0)
    lists = [[[5, 9], [7]]] * len(texts)
    expected = generate(policy, batch, request_of(greedy, 1)).continue_from_anchor(lists)
    recording(monkeypatch, traced)
    found = generate(policy, batch, request_of(greedy, 1)).continue_from_anchor(lists)
    for row, other in zip(found, expected, strict=True):
        torch.testing.assert_close(row, other, atol=1e-4, rtol=1e-4)


def wrong(step: Callable[[], Step]) -> tuple[Step, Callable[[], None]]:
    hidden, tokens, log_probs = step()
    return (hidden, tokens, log_probs + 0.1), lambda: None


def failing(_: Callable[[], Step]) -> tuple[Step, Callable[[], None]]:
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


@ONE
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (wrong, "its result differs by 0.1 nats"),
        (failing, "operation not permitted when stream is capturing"),
    ],
)
def test_a_wrong_or_failing_record_is_told_once_and_not_used(
    policy: CausalLM,
    make_encoder: MakeEncoder,
    texts: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record: Callable[[Callable[[], Step]], object],
    reason: str,
) -> None:
    batch, sampling = make_encoder(policy)(texts), Sampling(max_new_tokens=TOKENS)
    expected = sampled(policy, batch, sampling)
    made = recording(monkeypatch, record)
    found = sampled(policy, batch, sampling)
    assert found[0] == expected[0]
    assert torch.equal(found[1], expected[1])
    assert len(made) == 1
    assert capsys.readouterr().err.count(f"sampling goes on without a CUDA graph: {reason}\n") == 1


@ONE
def test_on_a_cpu_steps_are_taken_one_by_one(
    policy: CausalLM, make_encoder: MakeEncoder, texts: Sequence[Item]
) -> None:
    decoder = SharedDecoder(policy, make_encoder(policy)(texts), group_size=2)
    chosen = stepping(policy, decoder, Sampling(cuda_graphs=True), torch.zeros(2, 8))
    assert type(chosen) is OneByOne
