"""Continue prompts token by token: with each prompt's keys and values held once, or each row by itself."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.types import Batch
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.attention.plain import PlainDecoding
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.attention.tree_pass import continue_from_cache, prefill, tree_states
from lalm_ambig.policies.base import Policy

Continuations = Sequence[Sequence[Sequence[int]]]
"""Per row, alternative token lists that follow the row's tokens."""


class RolloutDecoder(ABC):
    """The state of K responses to each prompt of a batch; row g·K + k is response k to prompt g."""

    def __init__(self, policy: Policy, batch: Batch, *, group_size: int) -> None:
        self.policy, self.batch, self.group_size = policy, batch, group_size
        self.fed: list[Tensor] = []
        """Tokens of each step so far, one per row."""

    def prompts(self) -> list[Segment]:
        """The prompts without padding."""
        return prompt_segments(self.policy, self.batch)

    @abstractmethod
    def start(self) -> Float[Tensor, "row channel"]:
        """Hidden state that predicts each row's first token."""

    @abstractmethod
    def step(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        """Hidden state that predicts the token after these."""

    @abstractmethod
    def states_after(self, prefixes: Sequence[int], continuations: Continuations) -> list[list[Tensor]]:
        """Hidden states [token, channel] of each continuation after the first `prefixes[row]` tokens of its row."""


class SharedDecoder(RolloutDecoder):
    """Each prompt is computed once, and its keys and values are held once."""

    def start(self) -> Float[Tensor, "row channel"]:
        last, self.cache = prefill(self.policy, self.prompts(), group_size=self.group_size)
        return last.repeat_interleave(self.group_size, 0)

    def step(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        states = self.states_of(tokens)
        self.keep(tokens)
        return states

    def states_of(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        """Hidden state that predicts the token after these, which are not kept yet."""
        before = self.cache.used if self.cache.place is None else self.cache.place
        positions = (self.cache.prompt_lengths + before)[:, None]
        return continue_from_cache(self.policy, self.cache, tokens[:, None], positions)[:, 0]

    def keep(self, tokens: Int[Tensor, " row"]) -> None:
        """Let later tokens come after these, whose states were computed last."""
        self.fed.append(tokens)
        self.cache.advance(1)

    def states_after(self, prefixes: Sequence[int], continuations: Continuations) -> list[list[Tensor]]:
        rows = [[token for tokens in row for token in tokens] for row in continuations]
        packed = pad([row or [self.policy.pad_id] for row in rows], self.policy.pad_id, side="right")
        sizes = [[len(tokens) for tokens in row] for row in continuations]
        offsets, sees = _tree_of_lists(sizes, packed.ids.shape[1])
        start = torch.tensor(prefixes)
        seen = torch.arange(self.cache.used) < start[:, None]
        seen = seen[:, None, :].expand(-1, sees.shape[1], -1)
        self.cache.hidden = ~torch.cat([seen, sees], dim=-1)[:, None].to(self.policy.device)
        positions = self.cache.prompt_lengths[:, None] + (start[:, None] + offsets).to(self.policy.device)
        states = continue_from_cache(self.policy, self.cache, packed.ids.to(self.policy.device), positions)
        self.cache.hidden = None
        return [list(row[: sum(parts)].split(parts)) for row, parts in zip(states, sizes, strict=True)]


def _tree_of_lists(sizes: Sequence[Sequence[int]], width: int) -> tuple[Tensor, Tensor]:
    """The layout of lists that are concatenated in a row.

    Returns:
        The index of each token in its list [row, token], and the tokens that it sees [row, token, token]: the earlier
        ones of its list and itself.
    """
    offsets, lists = torch.zeros(len(sizes), width, dtype=torch.long), torch.full((len(sizes), width), -1)
    for row, parts in enumerate(sizes):
        start = 0
        for number, size in enumerate(parts):
            offsets[row, start : start + size] = torch.arange(size)
            lists[row, start : start + size] = number
            start += size
    same = lists[:, :, None] == lists[:, None, :]
    return offsets, same & torch.ones(width, width, dtype=torch.bool).tril()


class PlainDecoder(RolloutDecoder):
    """Each row has a prompt of its own in the model's cache; `SharedDecoder` must give the same states."""

    def start(self) -> Float[Tensor, "row channel"]:
        prompts = [prompt for prompt in self.prompts() for _ in range(self.group_size)]
        self.decoding = PlainDecoding(self.policy, prompts)
        return self.decoding.start()

    def step(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        self.fed.append(tokens)
        return self.decoding.step(tokens)

    def states_after(self, prefixes: Sequence[int], continuations: Continuations) -> list[list[Tensor]]:
        device = self.policy.device
        fed = torch.stack(self.fed, dim=1) if self.fed else torch.empty(len(prefixes), 0, dtype=torch.long)
        segments = self.prompts()
        for row, (prefix, options) in enumerate(zip(prefixes, continuations, strict=True)):
            for tokens in options:
                ids = torch.cat(
                    [fed[row, :prefix].to(device), torch.tensor(tokens, dtype=torch.long, device=device)]
                )
                segments.append(Segment(self.policy.embed_ids(ids), row // self.group_size, ids))
        states = iter(tree_states(self.policy, segments, share=False)[len(self.batch.items) :])
        return [
            [next(states)[prefix:] for _ in options]
            for prefix, options in zip(prefixes, continuations, strict=True)
        ]


def prompt_segments(policy: Policy, batch: Batch) -> list[Segment]:
    """Each item's prompt without padding, with its audio."""
    rows = policy.embed(batch.prompt, batch.audio)
    return [
        Segment(row[mask], None, ids[mask] if batch.audio is None else None)
        for row, mask, ids in zip(rows, batch.prompt.mask, batch.prompt.ids, strict=True)
    ]
