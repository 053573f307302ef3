"""Passes of the decoder over trees of segments, in which common beginnings are computed once."""

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
    """Hidden states of each segment of a tree; a token sees its ancestors and the tokens before it.

    A common beginning of all roots is computed once as well. If the model cannot share (see `Abilities`), each path
    from root to leaf is computed by itself, which is slower and equal up to rounding.

    Args:
        policy: The policy.
        segments: Parents come before their children.
        share: If False, each path is computed by itself.
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
        torch.cat([states[0], rest]) if begin else rest
        for begin, rest in zip(begins, states[1:], strict=True)
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
    """Compute the prompts once.

    Returns:
        Each prompt's last hidden state, and the cache from which `group_size` responses to each continue.
    """
    tree = with_common_root(prompts, common_prefix_length([prompt.embeddings for prompt in prompts]))
    layout, states = shared_states(policy, tree, keep=True)
    rows = range(len(tree) - len(prompts), len(tree))
    cache = RolloutCache(layout.key_values, [layout.path(n) for n in rows], group_size=group_size)
    return torch.stack([states[n][-1] for n in rows]), cache


def continue_from_cache(
    policy: SupportsPasses,
    cache: RolloutCache,
    ids: Int[Tensor, "row new"],
    positions: Int[Tensor, "row new"],
) -> Float[Tensor, "row new channel"]:
    """Hidden states of new tokens after those in the cache, which is not advanced.

    Args:
        policy: The policy.
        cache: Keys and values of prompts and responses.
        ids: Token ids, one row per response.
        positions: Position of each token on its path.
    """
    cache.expect(positions)
    return _forward_with_layout(policy, (policy.embed_ids(ids), ids), positions, layout=cache)


def shared_states(
    policy: SupportsPasses, segments: Sequence[Segment], *, keep: bool = False
) -> tuple[TreeLayout, list[Tensor]]:
    """Compute a tree in one packed row.

    Args:
        policy: The policy.
        segments: Parents come before their children.
        keep: Store every layer's keys and values in the layout.

    Returns:
        The layout, and the hidden states of each segment.
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
    """Hidden states of new tokens (embeddings, and ids or None) at these positions; the layout says what each sees."""
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
