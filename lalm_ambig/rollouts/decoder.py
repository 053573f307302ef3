"""Continue prompts token by token: with each prompt's keys and values held once, or each row by itself."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.types import Batch
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.attention.plain import PlainDecoding
from lalm_ambig.policies.attention.rollout_cache import RolloutCache
from lalm_ambig.policies.attention.tree import Segment
from lalm_ambig.policies.attention.tree_pass import continue_from_cache, prefill, tree_states
from lalm_ambig.policies.base import Policy

Continuations = Sequence[Sequence[Sequence[int]]]
"""Per row, alternative token lists that follow the row's tokens."""


class RolloutDecoder(ABC):
    """The state of K responses to each prompt of a batch; row g·K + k is response k to prompt g."""

    def __init__(self, policy: Policy, batch: Batch, *, group_size: int) -> None:
        self.policy, self.batch, self.group_size = policy, batch, group_size
        self.steps = 0
        """Steps taken, each of a token per row that is decoded."""
        self.rows = list(range(len(batch.items) * group_size))
        """Rows that are decoded; the others are finished."""

    def prompts(self) -> list[Segment]:
        """The prompts without padding."""
        return prompt_segments(self.policy, self.batch)

    @abstractmethod
    def start(self) -> Float[Tensor, "row channel"]:
        """Hidden state that predicts each row's first token."""

    @abstractmethod
    def step(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        """Hidden state that predicts the token after these, one per row of `rows`."""

    @abstractmethod
    def keep(self, kept: Sequence[int]) -> list[int]:
        """Decode further only these places of `rows`, and those that cannot be parted from them.

        Args:
            kept: Places, ascending; at least one.

        Returns:
            The places that are decoded further, ascending. Finished rows can be read by `states_after` as before.
        """

    @abstractmethod
    def states_after(self, prefixes: Sequence[int], continuations: Continuations) -> list[list[Tensor]]:
        """Hidden states [token, channel] of each continuation after the first `prefixes[row]` tokens of its row."""


class SharedDecoder(RolloutDecoder):
    """Each prompt is computed once, and its keys and values are held once."""

    def __init__(self, policy: Policy, batch: Batch, *, group_size: int) -> None:
        super().__init__(policy, batch, group_size=group_size)
        self.finished: list[tuple[list[int], RolloutCache]] = []
        """Rows that are no longer decoded, with their keys and values."""

    def start(self) -> Float[Tensor, "row channel"]:
        last, self.cache = prefill(self.policy, self.prompts(), group_size=self.group_size)
        return last.repeat_interleave(self.group_size, 0)

    def step(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        states = self.states_of(tokens)
        self.advance()
        return states

    def states_of(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        """Hidden state that predicts the token after these, which are not kept yet."""
        before = self.cache.used if self.cache.place is None else self.cache.place
        positions = (self.cache.prompt_lengths + before)[:, None]
        return continue_from_cache(self.policy, self.cache, tokens[:, None], positions)[:, 0]

    def advance(self) -> None:
        """Let later tokens come after those whose states were computed last."""
        self.steps += 1
        self.cache.advance(1)

    def keep(self, kept: Sequence[int]) -> list[int]:
        places = set(kept)
        dropped = [place for place in range(len(self.rows)) if place not in places]
        aside = self.cache.put_aside(kept, dropped)
        self.finished.append(([self.rows[place] for place in dropped], aside))
        self.rows = [self.rows[place] for place in kept]
        return list(kept)

    def states_after(self, prefixes: Sequence[int], continuations: Continuations) -> list[list[Tensor]]:
        states: dict[int, list[Tensor]] = {}
        for rows, cache in [*self.finished, (self.rows, self.cache)]:
            lists = [continuations[row] for row in rows]
            if any(lists):
                after = self._after(cache, [prefixes[row] for row in rows], lists)
                states.update(zip(rows, after, strict=True))
        return [states.get(row, []) for row in range(len(prefixes))]

    def _after(
        self, cache: RolloutCache, prefixes: Sequence[int], continuations: Continuations
    ) -> list[list[Tensor]]:
        """Hidden states of continuations of the rows of a cache."""
        rows = [[token for tokens in row for token in tokens] for row in continuations]
        packed = pad([row or [self.policy.pad_id] for row in rows], self.policy.pad_id, side="right")
        sizes = [[len(tokens) for tokens in row] for row in continuations]
        offsets, sees = _tree_of_lists(sizes, packed.ids.shape[1])
        start = torch.tensor(prefixes)
        seen = torch.arange(cache.used) < start[:, None]
        seen = seen[:, None, :].expand(-1, sees.shape[1], -1)
        cache.hidden = ~torch.cat([seen, sees], dim=-1)[:, None].to(self.policy.device)
        positions = cache.prompt_lengths[:, None] + (start[:, None] + offsets).to(self.policy.device)
        states = continue_from_cache(self.policy, cache, packed.ids.to(self.policy.device), positions)
        cache.hidden = None
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
        self.fed: list[Tensor] = []
        """Tokens of each step so far, one per row of `rows`."""
        self.finished: dict[int, Tensor] = {}
        """Tokens of the rows that are no longer decoded."""
        return self.decoding.start()

    def step(self, tokens: Int[Tensor, " row"]) -> Float[Tensor, "row channel"]:
        self.fed.append(tokens)
        self.steps += 1
        return self.decoding.step(tokens)

    def keep(self, kept: Sequence[int]) -> list[int]:
        places = self.decoding.keep(kept)
        if len(places) == len(self.rows):
            return places
        self.finished |= self._tokens()
        self.fed = [tokens[places] for tokens in self.fed]
        self.rows = [self.rows[place] for place in places]
        return places

    def states_after(self, prefixes: Sequence[int], continuations: Continuations) -> list[list[Tensor]]:
        device, fed = self.policy.device, self.finished | self._tokens()
        segments = self.prompts()
        for row, (prefix, options) in enumerate(zip(prefixes, continuations, strict=True)):
            for tokens in options:
                ids = torch.cat([fed[row][:prefix], torch.tensor(tokens, dtype=torch.long, device=device)])
                segments.append(Segment(self.policy.embed_ids(ids), row // self.group_size, ids))
        states = iter(tree_states(self.policy, segments, share=False)[len(self.batch.items) :])
        return [
            [next(states)[prefix:] for _ in options]
            for prefix, options in zip(prefixes, continuations, strict=True)
        ]

    def _tokens(self) -> dict[int, Tensor]:
        """Tokens of each row that is decoded."""
        empty = torch.empty(len(self.rows), 0, dtype=torch.long, device=self.policy.device)
        return dict(zip(self.rows, torch.stack(self.fed, dim=1) if self.fed else empty, strict=True))


def prompt_segments(policy: Policy, batch: Batch) -> list[Segment]:
    """Each item's prompt without padding, with its audio."""
    rows = policy.embed(batch.prompt, batch.audio)
    return [
        Segment(row[mask], None, ids[mask] if batch.audio is None or policy.takes_ids else None)
        for row, mask, ids in zip(rows, batch.prompt.mask, batch.prompt.ids, strict=True)
    ]
