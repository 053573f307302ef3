"""Passes of the decoder over trees of segments, and the first pass of rollouts: what comes before is computed once."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.policies.attention.abilities import SupportsPasses
from lalm_ambig.policies.attention.plain import path_states
from lalm_ambig.policies.attention.rollout_cache import RolloutCache
from lalm_ambig.policies.attention.tree import (
    LAYOUT_MASK_SHAPE,
    AttentionLayout,
    Segment,
    TreeLayout,
    common_prefix_length,
    join_ids,
    with_common_root,
)


def tree_states(
    policy: SupportsPasses, segments: Sequence[Segment], *, share: bool = True
) -> list[Float[Tensor, "_ channel"]]:
    """Hidden states of each segment of a tree, every token seeing its ancestors and what precedes it.

    Where all beginnings have some tokens in common, these are computed once as well. Without `share`, or where the
    model cannot do it (see `Abilities`), every path from root to leaf is computed by itself: the plain way, slower and
    equal but for rounding.
    """
    row = sum(len(segment) for segment in segments)
    if not (share and policy.abilities.shares_texts_of(longest_path(segments), row=row)):
        return path_states(policy, segments)
    common = common_prefix_length([segment.embeddings for segment in segments if segment.parent is None])
    _, states = shared_states(policy, with_common_root(segments, common))
    if not common:
        return states
    begins = [segment.parent is None and len(segment) > 0 for segment in segments]
    return [
        torch.cat([states[0], own]) if begin else own for begin, own in zip(begins, states[1:], strict=True)
    ]


def longest_path(segments: Sequence[Segment]) -> int:
    """Tokens of the longest path from a root to a leaf."""
    lengths: list[int] = []
    for segment in segments:
        lengths.append(len(segment) + (0 if segment.parent is None else lengths[segment.parent]))
    return max(lengths, default=0)


def prefill(
    policy: SupportsPasses, prompts: Sequence[Segment], *, group_size: int
) -> tuple[Float[Tensor, "prompt channel"], RolloutCache]:
    """Each prompt's last hidden state, and the cache from which `group_size` responses to each can go on."""
    tree = with_common_root(prompts, common_prefix_length([prompt.embeddings for prompt in prompts]))
    layout, states = shared_states(policy, tree, keep=True)
    own = range(len(tree) - len(prompts), len(tree))
    cache = RolloutCache(layout.kept, [layout.path(n) for n in own], group_size=group_size)
    return torch.stack([states[n][-1] for n in own]), cache


def continue_from_cache(
    policy: SupportsPasses,
    cache: RolloutCache,
    ids: Int[Tensor, "row new"],
    positions: Int[Tensor, "row new"],
) -> Float[Tensor, "row new channel"]:
    """Hidden states of new tokens behind what the cache holds; it is not advanced."""
    cache.expect(positions)
    return _forward_with_layout(policy, (policy.embed_ids(ids), ids), positions, layout=cache)


def shared_states(
    policy: SupportsPasses, segments: Sequence[Segment], *, keep: bool = False
) -> tuple[TreeLayout, list[Tensor]]:
    """The layout of a tree in one packed row, and the hidden states of its segments.

    `keep` leaves every layer's keys and values in the layout.
    """
    lengths = [len(segment) for segment in segments]
    layout = TreeLayout(lengths, [segment.parent for segment in segments], keep=keep)
    ids = join_ids(segments)
    row = torch.cat([segment.embeddings for segment in segments])[None]
    tokens = (row, None if ids is None else ids[None])
    states = _forward_with_layout(policy, tokens, layout.positions[None], layout=layout)[0]
    return layout, list(torch.split(states, lengths))


def _forward_with_layout(
    policy: SupportsPasses,
    tokens: tuple[Tensor, Tensor | None],
    positions: Int[Tensor, "row new"],
    *,
    layout: AttentionLayout,
) -> Float[Tensor, "row new channel"]:
    """Hidden states of new tokens (embeddings, and ids where they say all of it) at those positions, where the layout
    decides what each of them sees."""
    embeddings, ids = tokens
    states, _ = policy.decoded(
        embeddings,
        ids,
        attention_mask=torch.zeros(LAYOUT_MASK_SHAPE, device=embeddings.device),
        position_ids=policy.rotary_positions(positions.to(embeddings.device)),
        use_cache=False,
        layout=layout,
    )
    return states
