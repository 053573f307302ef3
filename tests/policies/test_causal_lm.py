"""Text models: many families by one class, and what is refused in one line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_checkpoints import LAYERS, write_causal_lm
from small_model import nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Tokens
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.weights.checkpoint import Attention
from lalm_ambig.policies.weights.lora import trained_parameters

SEPARATE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
FAMILIES: dict[str, tuple[Sequence[str], dict[str, object]]] = {
    "qwen2": (SEPARATE, {}),
    "qwen3": (SEPARATE, {"head_dim": 16}),
    "llama": (SEPARATE, {}),
    "mistral": (SEPARATE, {"sliding_window": 4}),
    "gemma": (SEPARATE, {"head_dim": 16}),
    "gemma3_text": (SEPARATE, {"head_dim": 16, "sliding_window": 4}),
    "phi3": (FUSED, {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}),
}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, CausalLM]:
    torch.manual_seed(0)
    name = str(request.param)
    return name, loaded(write_causal_lm(tmp_path / "checkpoint", name, **FAMILIES[name][1]))


def loaded(folder: Path, *, attention: Attention = "sdpa") -> CausalLM:
    policy = CausalLM(str(folder), attention=attention)
    policy.load()
    policy.eval()
    return policy


def some_tokens(policy: CausalLM, *, padding: int) -> Tokens:
    ids = policy.text_ids("the voice is loud and the words are calm")
    return Tokens(
        torch.tensor([[policy.pad_id] * padding + ids]),
        torch.tensor([[False] * padding + [True] * len(ids)]),
    )


@torch.no_grad()
def test_every_family_answers_as_its_own_forward(family: tuple[str, CausalLM]) -> None:
    _, policy = family
    plain, padded = some_tokens(policy, padding=0), some_tokens(policy, padding=3)
    theirs = policy.base(input_ids=plain.ids, attention_mask=plain.mask.long()).logits
    assert theirs.std() > 0.05
    for tokens in (plain, padded):
        ours = policy.logits(policy.hidden(policy.embed(tokens), tokens.mask))
        torch.testing.assert_close(ours[tokens.mask], theirs[0], atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_every_family_goes_on_from_a_cache(family: tuple[str, CausalLM]) -> None:
    _, policy = family
    tokens = some_tokens(policy, padding=2)
    state: dict[str, Any] = {}
    embeddings = policy.embed(tokens)
    whole = policy.hidden(embeddings, tokens.mask)
    policy.hidden(embeddings[:, :5], tokens.mask[:, :5], past=state)
    rest = policy.hidden(embeddings[:, 5:], tokens.mask, past=state)
    torch.testing.assert_close(rest, whole[:, 5:], atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_lora_sits_on_exactly_the_projections_of_every_family(family: tuple[str, CausalLM]) -> None:
    name, policy = family
    names = [n.split(".lora_A")[0] for n, _ in trained_parameters(policy) if ".lora_A" in n]
    assert sorted(n.split(".")[-1] for n in names) == sorted(LAYERS * FAMILIES[name][0])
    assert all(".layers." in n for n in names)
    tokens = some_tokens(policy, padding=0)
    before = policy.hidden(policy.embed(tokens), tokens.mask)
    nudge(policy)
    assert (policy.hidden(policy.embed(tokens), tokens.mask) - before).abs().max() > 0.01


def test_a_base_model_without_a_chat_template_is_one_line(tmp_path: Path) -> None:
    write_causal_lm(tmp_path, "llama")
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="has no chat template, as base models have none: give an instruct"):
        loaded(tmp_path)


def test_an_item_with_audio_is_refused_in_one_line(small_folders: Path, items: tuple[Item, ...]) -> None:
    policy = loaded(small_folders / "text")
    refusal = r"causal_lm \(text\) takes text only, but an item has audio"
    with pytest.raises(InputError, match=refusal):
        policy.log_mel(torch.zeros(1600))
    encoder = Encoder(policy, CATEGORIES, Elicitation("speech_emotion_short", reasoning=False))
    with pytest.raises(InputError, match=refusal):
        encoder(items[:1])
    with pytest.raises(InputError, match=refusal):
        policy.prompt_ids([{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "calm"}])


def test_parts_of_text_become_one_string(small_folders: Path) -> None:
    policy = loaded(small_folders / "text")
    ids = policy.prompt_ids([{"type": "text", "text": "the voice"}, {"type": "text", "text": "is calm"}])
    assert policy.tokenizer.decode(ids) == (
        "<|im_start|>user\nthe voice\nis calm<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize(
    ("content", "expected"), [(None, "is empty"), ("{}", "has a config.json without model_type")]
)
def test_a_folder_without_a_checkpoint_is_one_line(
    content: str | None, expected: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=f"policy.path: .*{expected}") as raised:
        CausalLM(str(tmp_path)).load()
    assert "\n" not in str(raised.value)


def test_a_checkpoint_that_lacks_weights_is_refused_rather_than_filled_up(tmp_path: Path) -> None:
    write_causal_lm(tmp_path, "llama")
    weights = load_file(tmp_path / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"it lacks 1 weights of .*, model\.layers\.1\.mlp\.up_proj\.weight"):
        loaded(tmp_path)
