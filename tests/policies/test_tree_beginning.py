"""What all beginnings of a tree have in common is computed once, and nothing but rounding changes."""

from collections.abc import Sequence

import torch
from small_model import nudge

from lalm_ambig.policies.attention.tree import FEWEST_SHARED, Segment, common_prefix_length, with_common_root
from lalm_ambig.policies.attention.tree_pass import prefill, tree_states
from lalm_ambig.policies.base import Policy

LONG = tuple(range(40, 40 + FEWEST_SHARED + 4))
TREES: dict[str, tuple[Sequence[int], ...]] = {
    "ragged": ((*LONG, 7, 8, 9), (*LONG, 11), (*LONG, 7, 8, 12, 13, 14)),
    "identical": ((*LONG, 7, 8), (*LONG, 7, 8), (*LONG, 7, 8)),
    "one the beginning of the others": (LONG, (*LONG, 7), (*LONG, 9, 9)),
    "nothing in common": ((5, *LONG), (6, *LONG), (7, *LONG)),
    "too little in common": ((*LONG[: FEWEST_SHARED - 1], 1, 1), (*LONG[: FEWEST_SHARED - 1], 2)),
    "one text": ((*LONG, 7, 8),),
}
SHARED = {"ragged": len(LONG), "identical": len(LONG) + 1, "one the beginning of the others": len(LONG) - 1}
"""Tokens that each tree's texts share; 0 in the others."""


def embedded(policy: Policy, texts: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    return [policy.embed_ids(torch.tensor(ids)) for ids in texts]


def tree_of(policy: Policy, texts: Sequence[Sequence[int]]) -> list[Segment]:
    """Each text with two continuations, the second of which has one of its own; the last text has none."""
    rows = embedded(policy, texts)
    tree = [Segment(row) for row in rows]
    for number in range(max(1, len(rows) - 1)):
        first = len(tree)
        ids = torch.tensor([[20 + number, 21, 22], [30 + number, 31, 33], [35, 36, 37]])
        parents = (number, number, first + 1)
        tree += [Segment(policy.embed_ids(i), parent) for i, parent in zip(ids, parents, strict=True)]
    return tree


def tokens_computed(policy: Policy, tree: Sequence[Segment]) -> tuple[int, list[torch.Tensor]]:
    """How many tokens went through the decoder for a tree's states."""
    seen = []
    hook = policy.language_model.register_forward_pre_hook(
        lambda _, __, named: seen.append(named["inputs_embeds"].shape[:2].numel()), with_kwargs=True
    )
    states = tree_states(policy, tree)
    hook.remove()
    return sum(seen), states


@torch.no_grad()
def test_texts_with_a_common_beginning_have_the_plain_states(policy: Policy) -> None:
    nudge(policy)
    for name, texts in TREES.items():
        tree = tree_of(policy, texts)
        computed, ours = tokens_computed(policy, tree)
        shared = SHARED.get(name, 0)
        assert common_prefix_length(embedded(policy, texts)) == shared, name
        assert computed == sum(len(s.embeddings) for s in tree) - max(0, len(texts) - 1) * shared, name
        for found, plain in zip(ours, tree_states(policy, tree, share=False), strict=True):
            torch.testing.assert_close(found, plain, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_rollouts_go_on_from_texts_with_a_common_beginning(policy: Policy) -> None:
    nudge(policy)
    for name, texts in TREES.items():
        rows = embedded(policy, texts)
        last, cache = prefill(policy, [Segment(row) for row in rows], group_size=2)
        plain = tree_states(policy, [Segment(row) for row in rows], share=False)
        torch.testing.assert_close(last, torch.stack([s[-1] for s in plain]), atol=2e-5, rtol=1e-4, msg=name)
        assert cache.prompt_lengths.tolist() == [len(text) for text in texts for _ in range(2)]
        single = prefill(policy, [Segment(rows[-1])], group_size=2)[1]
        for (keys, values), (own_keys, own_values) in zip(cache.prompts, single.prompts, strict=True):
            torch.testing.assert_close(keys[-1:, :, : len(texts[-1])], own_keys, atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(values[-1:, :, : len(texts[-1])], own_values, atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_a_text_without_tokens_keeps_none_beside_a_common_beginning(policy: Policy) -> None:
    rows = embedded(policy, TREES["ragged"])
    states = tree_states(policy, [Segment(row) for row in (rows[0], rows[1][:0], rows[2])])
    assert [len(found) for found in states] == [len(rows[0]), 0, len(rows[2])]


def test_gradients_through_a_common_beginning_are_the_plain_ones(policy: Policy) -> None:
    nudge(policy)
    policy.base.get_input_embeddings().weight.requires_grad_(True)
    found = []
    for share in (True, False):
        policy.zero_grad()
        tree = tree_of(policy, TREES["ragged"])
        states = torch.cat(tree_states(policy, tree, share=share))
        weights = torch.randn(states.shape, generator=torch.Generator().manual_seed(1))
        (states * weights).sum().backward()
        found.append({n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys() != set()
    for name, gradient in found[0].items():
        scale = found[1][name].abs().max()
        assert scale > 0
        assert (gradient - found[1][name]).abs().max() <= 1e-4 * scale, name


@torch.no_grad()
def test_a_common_beginning_can_be_computed_in_bfloat16(policy: Policy) -> None:
    tree = tree_of(policy, TREES["ragged"])
    exact = tree_states(policy, tree)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        computed, rounded = tokens_computed(policy, tree)
    assert computed < sum(len(s.embeddings) for s in tree)
    for ours, theirs in zip(rounded, exact, strict=True):
        assert (ours.float() - theirs).abs().max() < 0.1 * theirs.abs().max()


def test_the_same_tokens_that_sound_otherwise_are_not_in_common() -> None:
    torch.manual_seed(0)
    text = torch.randn(FEWEST_SHARED + 9, 4)
    other = text.clone()
    other[FEWEST_SHARED + 3, 2] += 1e-3
    assert common_prefix_length([text, text]) == FEWEST_SHARED + 8
    assert common_prefix_length([text, other, text]) == FEWEST_SHARED + 3
    assert common_prefix_length([text, text[:0], other]) == FEWEST_SHARED + 3
    assert common_prefix_length([text, text[:0]]) == common_prefix_length([]) == 0


def test_a_root_moves_every_parent_on_by_one() -> None:
    rows = [torch.full((n, 2), float(n)) for n in (5, 0, 4, 3)]
    tree = [Segment(rows[0]), Segment(rows[1]), Segment(rows[2]), Segment(rows[3], 2)]
    assert [s.parent for s in with_common_root(tree, 0)] == [None, None, None, 2]
    found = with_common_root(tree, 3)
    assert [s.parent for s in found] == [None, 0, 0, 0, 3]
    assert [len(s.embeddings) for s in found] == [3, 2, 0, 1, 3]
