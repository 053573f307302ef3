"""Logits, log-probabilities and readouts are the class's own, whatever it does around and behind its head."""

from pathlib import Path
from typing import Any

import pytest
import torch
from small_checkpoints import write_causal_lm
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.native_forward import LogitTransform, NativeForward
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.weights.lora import Adapter

KINDS: dict[str, dict[str, Any]] = {
    "gemma2": {"head_dim": 16, "final_logit_softcapping": 3.0},  # a cap that bends every logit
    "cohere": {"logit_scale": 0.0625},
    "granite": {"logits_scaling": 8.0},
    "phi": {},  # its head has a bias
    "llama": {"tie_word_embeddings": True},
    "gpt2": {"n_embd": 64, "n_head": 4, "n_layer": 2},
    "llama4_text": {
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "head_dim": 16,
        "intermediate_size_mlp": 96,
    },
}
IDS = torch.tensor([[40, 41, 77, 52, 60, 44, 91, 45]])


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[CausalLM, Any]:
    """A policy, and the same checkpoint by transformers alone; its head's bias is not zero."""
    folder = tmp_path_factory.mktemp(request.param)
    write_causal_lm(folder, request.param, **KINDS[request.param])
    policy = CausalLM(str(folder), adapter=Adapter(method="full"), attention="eager")
    policy.load()
    policy.eval()
    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(0)
    for model in (policy.base, theirs):
        if model.get_output_embeddings().bias is not None:
            with torch.no_grad():
                model.get_output_embeddings().bias.copy_(
                    torch.randn(len(policy.tokenizer), generator=generator)
                )
        generator.manual_seed(0)
    policy.requires_grad_(False)
    return policy, theirs


def states(policy: CausalLM) -> torch.Tensor:
    return policy.hidden(policy.embed_ids(IDS), torch.ones_like(IDS, dtype=torch.bool), ids=IDS)


@torch.no_grad()
def test_logits_are_the_class_s_own(pair: tuple[CausalLM, Any]) -> None:
    policy, theirs = pair
    torch.testing.assert_close(
        policy.logits(states(policy)), theirs(input_ids=IDS).logits, atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_a_readout_from_single_rows_is_that_of_the_class_s_logits(pair: tuple[CausalLM, Any]) -> None:
    policy, theirs = pair
    chosen = torch.tensor([5, 99, 44])
    ours = policy.category_logits(states(policy)[:, -1], chosen)
    torch.testing.assert_close(
        ours, theirs(input_ids=IDS).logits[:, -1, chosen].float(), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_and_their_gradient_are_those_of_the_class_s_logits(
    pair: tuple[CausalLM, Any], temperature: float
) -> None:
    policy, theirs = pair
    hidden = states(policy)[0, :-1].detach().requires_grad_()
    weights = torch.linspace(-1, 2, len(hidden))
    ours = policy.token_log_probs(hidden, IDS[0, 1:], temperature=temperature)
    (slope,) = torch.autograd.grad((ours * weights).sum(), hidden)
    own = theirs.get_output_embeddings()(hidden)
    logits = policy.logit_transform(own) / temperature
    expected = torch.log_softmax(logits, -1).gather(-1, IDS[0, 1:, None])[:, 0]
    (theirs_slope,) = torch.autograd.grad((expected * weights).sum(), hidden)
    whole = torch.log_softmax(theirs(input_ids=IDS).logits[0, :-1] / temperature, -1)
    torch.testing.assert_close(ours, whole.gather(-1, IDS[0, 1:, None])[:, 0], atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(slope, theirs_slope, atol=1e-5, rtol=1e-4)


def test_a_cap_by_hand() -> None:
    behind = LogitTransform(scale=2.0, cap=3.0)
    logit = behind(torch.tensor([1.5]))
    assert logit.item() == pytest.approx(3 * 0.7615941559557649)  # tanh 1
    assert behind.slope(logit).item() == pytest.approx(2 * (1 - 0.7615941559557649**2), rel=1e-6)
    assert LogitTransform().is_identity


@pytest.mark.parametrize(("scale", "cap"), [(1.0, None), (0.03, None), (1.0, 30.0), (1.0, 2.0), (0.5, 7.0)])
def test_what_a_class_does_behind_its_head_is_found(tmp_path: Path, scale: float, cap: float | None) -> None:
    expected = LogitTransform(scale, cap)
    found = NativeForward(changed(tmp_path, expected)).logit_transform(IDS[:, :2])
    products = torch.linspace(-30, 30, 61)
    torch.testing.assert_close(found(products), expected(products), atol=1e-3, rtol=1e-3)


def test_more_than_a_scale_and_a_cap_is_refused(tmp_path: Path) -> None:
    model = changed(tmp_path, lambda logits: logits.sign() * logits.square())
    with pytest.raises(InputError, match="Odd does more behind its head than scaling or capping"):
        NativeForward(model).logit_transform(IDS[:, :2])


def changed(folder: Path, behind: Any) -> Any:
    """A Llama that does something to its logits."""

    class Odd(LlamaForCausalLM):
        def forward(self, *words: Any, **named: Any) -> Any:
            out = super().forward(*words, **named)
            out.logits = behind(out.logits)
            return out

    write_causal_lm(folder, "llama")
    return Odd.from_pretrained(folder).eval()


def test_the_head_is_in_its_place_again_after_a_failing_pass(tmp_path: Path) -> None:
    write_causal_lm(tmp_path, "llama")
    own = NativeForward(AutoModelForCausalLM.from_pretrained(tmp_path))
    head = own.head
    with pytest.raises(Exception, match="index out of range"):
        own(input_ids=torch.tensor([[10**6]]))
    assert own.model.lm_head is head
