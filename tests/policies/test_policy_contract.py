"""What holds for every policy, with ears or without."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_checkpoints import MakeAny
from small_model import nudge

from lalm_ambig.checks.audio import check_audio
from lalm_ambig.checks.model import check_adapter, check_forward
from lalm_ambig.core.types import Tokens
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.attention.tree_pass import tree_states
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters


def some_tokens(policy: Policy, *, pad: int = 0) -> Tokens:
    ids = policy.text_ids("the voice is loud and the words are calm")
    row = [policy.pad_id] * pad + ids
    return Tokens(torch.tensor([row]), torch.tensor([[False] * pad + [True] * len(ids)]))


@torch.no_grad()
def test_hidden_states_and_head_are_the_models_own_forward(policy: Policy) -> None:
    tokens = some_tokens(policy)
    ours = policy.logits(policy.hidden(policy.embed(tokens), tokens.mask))
    theirs = policy.base(input_ids=tokens.ids, attention_mask=tokens.mask.long()).logits
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert ours.std() > 0.1


@torch.no_grad()
def test_left_padding_changes_nothing(policy: Policy) -> None:
    plain, padded = some_tokens(policy), some_tokens(policy, pad=5)
    expected = policy.hidden(policy.embed(plain), plain.mask)
    got = policy.hidden(policy.embed(padded), padded.mask)[:, 5:]
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_going_on_from_a_cache_equals_one_pass(policy: Policy) -> None:
    tokens = some_tokens(policy, pad=2)
    whole = policy.hidden(policy.embed(tokens), tokens.mask)
    state: dict[str, Any] = {}
    embeddings = policy.embed(tokens)
    first = policy.hidden(embeddings[:, :4], tokens.mask[:, :4], past=state)
    rest = policy.hidden(embeddings[:, 4:], tokens.mask, past=state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1)[:, 2:], whole[:, 2:], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_few_rows_of_the_head_equal_the_whole_head(policy: Policy) -> None:
    tokens = some_tokens(policy)
    hidden = policy.hidden(policy.embed(tokens), tokens.mask)[:, -1]
    rows = torch.tensor([7, 3, 90, 11])
    torch.testing.assert_close(policy.category_logits(hidden, rows), policy.logits(hidden)[:, rows])


@torch.no_grad()
def test_a_few_rows_of_the_head_stay_float32_under_autocast(policy: Policy) -> None:
    tokens = some_tokens(policy)
    hidden = policy.hidden(policy.embed(tokens), tokens.mask)[:, -1]
    rows = torch.tensor([7, 3, 90, 11])
    exact = policy.category_logits(hidden, rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = policy.category_logits(hidden, rows)
        assert policy.logits(hidden).dtype == torch.bfloat16
    assert inside.dtype == torch.float32
    assert torch.equal(inside, exact)


@torch.no_grad()
def test_a_fresh_adapter_does_nothing_and_a_moved_one_can_be_switched_off(policy: Policy) -> None:
    tokens = some_tokens(policy)

    def states() -> torch.Tensor:
        return policy.hidden(policy.embed(tokens), tokens.mask)

    fresh = states()
    with policy.adapter_off():
        base = states()
    assert torch.equal(fresh, base)
    nudge(policy)
    assert (states() - base).abs().max() > 0.01
    with policy.adapter_off():
        assert torch.equal(states(), base)
    assert (states() - base).abs().max() > 0.01


@torch.no_grad()
@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_is_saved_is_read_back_by_another_policy(make_any: MakeAny, tmp_path: Path, method: str) -> None:
    policy, other = make_any(method=method), make_any(method=method)
    tokens = some_tokens(policy)
    nudge(policy)
    policy.save(tmp_path)
    before = other.hidden(other.embed(tokens), tokens.mask)
    other.load_weights(tmp_path)
    after = other.hidden(other.embed(tokens), tokens.mask)
    expected = policy.hidden(policy.embed(tokens), tokens.mask)
    assert torch.equal(after, expected)
    assert not torch.allclose(before, expected, atol=1e-3)


@torch.no_grad()
def test_what_several_texts_share_can_be_computed_once(policy: Policy) -> None:
    nudge(policy)
    texts = ("the voice is loud", " and the words", " are calm", " are", " fast")
    parents = (None, 0, 1, 1, 0)
    tree = [
        Segment(policy.embed_ids(torch.tensor(policy.text_ids(text))), parent)
        for text, parent in zip(texts, parents, strict=True)
    ]
    assert policy.abilities.shares
    for ours, plain in zip(tree_states(policy, tree), tree_states(policy, tree, share=False), strict=True):
        torch.testing.assert_close(ours, plain, atol=2e-5, rtol=1e-4)


def test_loading_twice_keeps_the_weights(policy: Policy) -> None:
    nudge(policy)
    weights = [parameter.clone() for parameter in policy.parameters()]
    policy.load()
    assert all(torch.equal(a, b) for a, b in zip(weights, policy.parameters(), strict=True))


def test_a_prompt_ends_where_the_answer_begins(policy: Policy) -> None:
    text = policy.tokenizer.decode(policy.prompt_ids([{"type": "text", "text": "the voice"}]))
    assert "the voice" in text
    assert text.rstrip().endswith("assistant")
    assert all(
        token not in text.split("assistant")[-1]
        for token in policy.tokenizer.convert_ids_to_tokens(policy.end_ids)
    )


def test_text_survives_its_tokens(policy: Policy) -> None:
    text = "<think>The voice, é, is low.</think><answer> sadness</answer>"
    assert policy.tokenizer.decode(policy.text_ids(text)) == text
    assert policy.description


def test_prompts_are_padded_on_the_left_and_the_turn_ends_as_the_template_says(policy: Policy) -> None:
    assert policy.tokenizer.padding_side == "left"
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "calm"}]
    said = policy.tokenizer.apply_chat_template(chat, tokenize=False)
    end = policy.tokenizer.decode(policy.end_ids[:1])
    assert said.split("calm")[1].startswith(end)
    assert policy.tokenizer.eos_token_id in policy.end_ids


def test_lora_sits_on_every_projection_of_the_decoder_and_nowhere_else(policy: Policy) -> None:
    names = {name.rsplit(".lora_A", 1)[0] for name, _ in trained_parameters(policy) if ".lora_A" in name}
    decoder = [name for name, part in policy.named_modules() if part is policy.language_model]
    layers = len(policy.language_model.layers)  # type: ignore[arg-type]
    expected = {
        f"{decoder[0]}.layers.{layer}.{block}.{projection}_proj"
        for layer in range(layers)
        for block, projections in (("self_attn", "qkvo"), ("mlp", ("gate", "up", "down")))
        for projection in projections
    }
    assert names == expected
    assert all(re.search(r"\.lora_[AB]\.", name) for name, _ in trained_parameters(policy))


def test_the_doctor_finds_nothing(policy: Policy) -> None:
    found = [*check_forward(policy), *check_adapter(policy)]
    if isinstance(policy, AudioModel):
        found += check_audio(policy)
    assert [outcome for outcome in found if not outcome.ok] == []
    assert len(found) == (8 if policy.window_s else 4)


def test_full_fine_tuning_trains_the_whole_decoder(make_any: MakeAny) -> None:
    policy = make_any(method="full")
    tokens = some_tokens(policy)
    policy.logits(policy.hidden(policy.embed(tokens), tokens.mask)).square().mean().backward()
    assert all(part.grad is not None for part in policy.language_model.parameters())
    assert policy.base.get_output_embeddings().weight.grad is not None
