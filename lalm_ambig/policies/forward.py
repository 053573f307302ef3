"""Passes of the decoder over trees of segments, and the first pass of rollouts: what comes before is computed once."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.rollout_cache import RolloutCache
from lalm_ambig.policies.tree import Layout, Segment, TreeLayout, common_beginning, rooted


def tree_states(
    policy: Policy, segments: Sequence[Segment], *, share: bool = True
) -> list[Float[Tensor, "_ channel"]]:
    """Last hidden states of each segment of a tree, every token seeing its ancestors and what precedes it.

    Where all beginnings have some tokens in common, these are computed once as well. `share` False computes every path
    from root to leaf by itself, in a padded batch: the plain way, slower and equal but for rounding.
    """
    if not (share and policy.shares_prompts):
        return _path_states(policy, segments)
    common = common_beginning([segment.embeddings for segment in segments if segment.parent is None])
    _, states = _laid_out_tree(policy, rooted(segments, common))
    if not common:
        return states
    begins = [segment.parent is None and len(segment.embeddings) > 0 for segment in segments]
    return [
        torch.cat([states[0], own]) if begin else own for begin, own in zip(begins, states[1:], strict=True)
    ]


def prefill(
    policy: Policy, prompts: Sequence[Float[Tensor, "_ channel"]], *, copies: int
) -> tuple[Float[Tensor, "prompt channel"], RolloutCache]:
    """Each prompt's last hidden state, and the cache from which `copies` responses to each can go on."""
    tree = rooted([Segment(prompt) for prompt in prompts], common_beginning(prompts))
    layout, states = _laid_out_tree(policy, tree, keep=True)
    own = range(len(tree) - len(prompts), len(tree))
    cache = RolloutCache(layout.kept, [layout.path(n) for n in own], copies=copies)
    return torch.stack([states[n][-1] for n in own]), cache


def _laid_out_tree(
    policy: Policy, segments: Sequence[Segment], *, keep: bool = False
) -> tuple[TreeLayout, list[Tensor]]:
    """The layout of a tree in one packed row, and the last hidden states of its segments."""
    lengths = [len(segment.embeddings) for segment in segments]
    layout = TreeLayout(lengths, [segment.parent for segment in segments], keep=keep)
    row = torch.cat([segment.embeddings for segment in segments])[None]
    states = laid_out(policy, row, layout.positions[None], layout=layout)[0]
    return layout, list(torch.split(states, lengths))


def laid_out(
    policy: Policy,
    embeddings: Float[Tensor, "row new channel"],
    positions: Int[Tensor, "row new"],
    *,
    layout: Layout,
) -> Float[Tensor, "row new channel"]:
    """Last hidden states of new tokens at those positions, where the layout decides what each of them sees."""
    out = policy.language_model(
        inputs_embeds=embeddings,
        attention_mask=torch.zeros(
            1, 1, 1, 1, device=embeddings.device
        ),  # four axes: transformers leaves it alone
        position_ids=policy.rotary_positions(positions.to(embeddings.device)),
        use_cache=False,
        layout=layout,
    )
    states: Tensor = out.last_hidden_state
    return states


def _path_states(policy: Policy, segments: Sequence[Segment]) -> list[Tensor]:
    paths: list[list[int]] = []
    for index, segment in enumerate(segments):
        paths.append([index] if segment.parent is None else [*paths[segment.parent], index])
    inner = {segment.parent for segment in segments}
    leaves = [path for path in paths if path[-1] not in inner]
    rows = pad_sequence(
        [torch.cat([segments[i].embeddings for i in path]) for path in leaves], batch_first=True
    )
    sizes = [[len(segments[i].embeddings) for i in path] for path in leaves]
    lengths = torch.tensor([sum(parts) for parts in sizes], device=rows.device)
    mask = torch.arange(rows.shape[1], device=rows.device) < lengths[:, None]
    found: dict[int, Tensor] = {}
    for path, parts, states in zip(leaves, sizes, policy.hidden(rows, mask), strict=True):
        found |= dict(zip(path, states[: sum(parts)].split(parts), strict=True))
    return [found[index] for index in range(len(segments))]
