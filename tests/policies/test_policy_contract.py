"""What holds for every policy: classes are found by themselves, and each needs a small checkpoint below."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_model import nudge

import lalm_ambig.policies
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.lora import Adapter
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.types import Tokens

SMALL: dict[str, Callable[[Path], Policy]] = {
    "Tiny": lambda _: Tiny(adapter=Adapter()),
    "Qwen2Audio": lambda folder: Qwen2Audio(str(folder), adapter=Adapter()),
}


def policy_classes() -> list[type[Policy]]:
    found = []
    for module in pkgutil.iter_modules(lalm_ambig.policies.__path__):
        loaded = importlib.import_module(f"lalm_ambig.policies.{module.name}")
        classes = [value for _, value in inspect.getmembers(loaded, inspect.isclass)]
        found += [c for c in classes if issubclass(c, Policy) and c.__module__ == loaded.__name__]
    return [c for c in found if not inspect.isabstract(c)]


@pytest.fixture(params=policy_classes(), ids=lambda cls: cls.__name__)
def policy(
    request: pytest.FixtureRequest, tiny_folder: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> Policy:
    assert request.param.__name__ in SMALL, "give this policy a small checkpoint in SMALL"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    torch.manual_seed(0)
    made = SMALL[request.param.__name__](tiny_folder)
    made.load()
    made.eval()
    return made


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
    cache, embeddings = policy.new_cache(), policy.embed(tokens)
    first = policy.hidden(embeddings[:, :4], tokens.mask[:, :4], cache=cache)
    rest = policy.hidden(embeddings[:, 4:], tokens.mask, cache=cache)
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
def test_what_is_saved_is_read_back_by_another_policy(
    policy: Policy, tiny_folder: Path, tmp_path: Path
) -> None:
    tokens = some_tokens(policy)
    nudge(policy)
    policy.save(tmp_path)
    other = SMALL[type(policy).__name__](tiny_folder)
    other.load()
    other.eval()
    before = other.hidden(other.embed(tokens), tokens.mask)
    other.load_weights(tmp_path)
    after = other.hidden(other.embed(tokens), tokens.mask)
    expected = policy.hidden(policy.embed(tokens), tokens.mask)
    assert torch.equal(after, expected)
    assert not torch.allclose(before, expected, atol=1e-3)


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
    assert policy.describe
