"""All passes of a step are sampled in one loop, with the responses that each would have in a loop of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from small_model import MakeEncoder
from torch import Tensor

import lalm_ambig.rollouts.step as steps
from lalm_ambig.core.memory import free_bytes
from lalm_ambig.core.types import AnswerPlaces, Batch, Groups, Item
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.step import bytes_per_token, sample_step

DRAW = GroupSampling(Sampling(max_new_tokens=12, seed=5), group_size=3, step=2)


@pytest.fixture
def encoder(tiny: Tiny, make_encoder: MakeEncoder) -> Encoder:
    return make_encoder(tiny)


@pytest.fixture
def batches(encoder: Encoder, items: Sequence[Item]) -> list[Batch]:
    """Batches of several sizes, with prompts of several lengths; one item is in two of them."""
    longer = replace(items[2], id="longer", text="we are very " * 12)
    return [encoder([items[0]]), encoder([items[1], longer]), encoder([items[0], items[3]])]


def loops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Prompts of each loop that is run from now on."""
    seen: list[int] = []

    def counted(encoder: Encoder, batch: Batch, settings: GroupSampling) -> Groups:
        seen.append(len(batch.items))
        return sample_groups(encoder, batch, settings)

    monkeypatch.setattr(steps, "sample_groups", counted)
    return seen


def parts(record: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(record):
        value = getattr(record, field.name)
        yield from parts(value) if isinstance(value, AnswerPlaces) else [(field.name, value)]


def same(found: Groups, expected: Groups) -> None:
    for (name, one), (_, other) in zip(parts(found), parts(expected), strict=True):
        if isinstance(one, Tensor) and one.dtype.is_floating_point:
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5, msg=name)
        else:
            assert torch.equal(one, other) if isinstance(one, Tensor) else one == other, name


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("reasoning", [True, False])
def test_one_loop_gives_the_responses_of_one_loop_per_pass(
    tiny: Tiny,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
    share: bool,
    reasoning: bool,
) -> None:
    encoder = make_encoder(tiny, reasoning=reasoning)
    batches = [encoder([items[0]]), encoder([items[1], items[2]]), encoder([items[0], items[3]])]
    draw = replace(DRAW, share_prompt=share)
    expected = [sample_groups(encoder, batch, draw) for batch in batches]
    seen = loops(monkeypatch)
    for found, one in zip(sample_step(encoder, batches, draw), expected, strict=True):
        same(found, one)
    assert seen == [5]


def test_prompts_of_several_lengths_and_an_item_that_comes_twice(
    encoder: Encoder, batches: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [sample_groups(encoder, batch, DRAW) for batch in batches]
    seen = loops(monkeypatch)
    found = sample_step(encoder, batches, DRAW)
    for one, other in zip(found, expected, strict=True):
        same(one, other)
    assert seen == [5]
    assert found[0].texts[0] == found[2].texts[0]


def test_less_memory_makes_more_loops_with_the_same_responses(
    encoder: Encoder, batches: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sample_step(encoder, batches, DRAW)
    counts = []
    for free in (10**12, 400_000, 1):
        monkeypatch.setattr(steps, "free_bytes", lambda _, room=free: room)
        seen = loops(monkeypatch)
        for one, other in zip(sample_step(encoder, batches, DRAW), expected, strict=True):
            same(one, other)
        counts.append(len(seen))
        assert sum(seen) == 5
    assert counts[0] == 1
    assert counts[-1] == 3
    assert counts == sorted(counts)


def test_no_loop_has_more_than_the_most_rows(
    encoder: Encoder, batches: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MOST_ROWS", 9)
    seen = loops(monkeypatch)
    sample_step(encoder, batches, DRAW)
    assert seen == [3, 2]


def test_nothing_to_sample_takes_no_loop(encoder: Encoder) -> None:
    assert sample_step(encoder, [], DRAW) == []


def test_a_tokens_keys_and_values_are_counted(tiny: Tiny) -> None:
    config = tiny.language_model.config
    per_layer = 2 * config.num_key_value_heads * (config.hidden_size // config.num_attention_heads) * 4
    assert bytes_per_token(tiny) == per_layer * config.num_hidden_layers


def test_free_memory_is_this_machines_where_no_card_says() -> None:
    assert 2**20 < free_bytes(torch.device("cpu")) < 2**50
