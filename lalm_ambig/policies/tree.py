"""Several continuations behind one beginning, each token computed once: a tree of segments in one packed row.

A group of K responses to a prompt is a tree of one root and K children; C class names behind a response are C children
of it. Every segment sees its ancestors and, causally, itself. There is no padding anywhere, so a batch of ragged texts
costs its real tokens only. It works for any decoder of transformers that takes its attention from the attention
interface: `install` puts ours there, which hands over to the configured one wherever no layout is given.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention as attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lalm_ambig.errors import InputError

PREFIX = "lalm_ambig_"
"""Of our implementations' names: `lalm_ambig_sdpa` is ours on top of `sdpa`."""
FEWEST_SHARED = 16
"""Tokens from which the beginning that all prompts of a batch have in common is worth a segment of its own."""
SHAREABLE = ("sdpa", "flash_attention_2")
"""Implementations that ours can hand over to; with another, prompts are not shared."""


@dataclass(frozen=True)
class Segment:
    """A run of tokens that follows its parent segment directly."""

    embeddings: Float[Tensor, "token channel"]
    parent: int | None = None
    """Index of an earlier segment; None for a beginning."""


def common_beginning(texts: Sequence[Float[Tensor, "_ channel"]]) -> int:
    """Tokens that all of several texts begin with; 0 where there is one text only, or under `FEWEST_SHARED`.

    Embeddings are compared, not token ids: two clips have the same placeholders and do not sound the same. Texts
    without tokens do not count, and every other one keeps at least one token of its own.
    """
    whole = [text.detach() for text in texts if len(text)]
    shortest = min((len(text) for text in whole), default=1) - 1
    if len(whole) < 2 or shortest < FEWEST_SHARED:
        return 0
    first = whole[0][:shortest]
    differs = torch.stack([(text[:shortest] != first).any(-1) for text in whole[1:]]).any(0)
    count = int((differs.cumsum(0) == 0).sum())
    return count if count >= FEWEST_SHARED else 0


def rooted(segments: Sequence[Segment], common: int) -> list[Segment]:
    """The same tree with the first `common` tokens of all beginnings as one more segment, which comes first."""
    if not common:
        return list(segments)
    root = next(s.embeddings[:common] for s in segments if s.parent is None and len(s.embeddings))
    rest = [
        Segment(s.embeddings[common:], 0) if s.parent is None else Segment(s.embeddings, s.parent + 1)
        for s in segments
    ]
    return [Segment(root), *rest]


class Layout(ABC):
    """What of a packed row may see what; passed through the decoder to its attention layers."""

    @abstractmethod
    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        """Attention output [row, head, token, channel] of layer number `layer`."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """Tokens of the longest path: what a sliding window must not be shorter than."""


class TreeLayout(Layout):
    """Where the segments of one packed row lie, and what each of them sees."""

    def __init__(self, lengths: Sequence[int], parents: Sequence[int | None], *, keep: bool = False) -> None:
        """
        Args:
            lengths: Tokens of each segment.
            parents: Index of each segment's parent, which comes before it.
            keep: Keep every layer's keys and values in `kept` (for decoding from them).
        """
        ends = torch.tensor(lengths).cumsum(0).tolist()
        self.own = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        self.before: list[tuple[slice, ...]] = []
        self.starts: list[int] = []
        """Position of each segment's first token on its path."""
        for parent in parents:
            self.before.append(() if parent is None else (*self.before[parent], self.own[parent]))
            self.starts.append(0 if parent is None else self.starts[parent] + lengths[parent])
        self.lengths = list(lengths)
        self.keep = keep
        self.kept: list[tuple[Tensor, Tensor]] = []

    @cached_property
    def positions(self) -> Int[Tensor, "token"]:
        """Position of every token on its own path."""
        return torch.cat([torch.arange(s, s + n) for s, n in zip(self.starts, self.lengths, strict=True)])

    @property
    def longest(self) -> int:
        return max(start + length for start, length in zip(self.starts, self.lengths, strict=True))

    def path(self, segment: int) -> tuple[slice, ...]:
        """Where a segment's ancestors and the segment itself lie in the row."""
        return (*self.before[segment], self.own[segment])

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
        if self.keep:
            assert len(self.kept) == layer
            self.kept.append((key, value))
        parts = []
        for segment, own in enumerate(self.own):
            if own.start == own.stop:
                continue
            places = self.path(segment)
            keys = torch.cat([key[:, :, place] for place in places], dim=2)
            values = torch.cat([value[:, :, place] for place in places], dim=2)
            parts.append(_causal(query[:, :, own], keys, values, scaling=scaling))
        return torch.cat(parts, dim=2)


def _causal(query: Tensor, key: Tensor, value: Tensor, *, scaling: float) -> Tensor:
    """Attention of the last tokens of a text to all of it."""
    shared = query.shape[1] != key.shape[1]  # heads of keys that several heads of queries share
    if query.shape[2] == key.shape[2]:
        return attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=shared)
    bias: Any = causal_lower_right(query.shape[2], key.shape[2])
    return attention(query, key, value, attn_mask=bias, scale=scaling, enable_gqa=shared)


def install(config: Any) -> bool:
    """Put our attention in front of a decoder's configured one; False where that cannot be handed over to."""
    chosen = config._attn_implementation
    if str(chosen).startswith(PREFIX):
        return True
    if chosen not in SHAREABLE:
        return False
    name = PREFIX + chosen
    AttentionInterface.register(name, _dispatching(chosen))
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[chosen])
    config._attn_implementation = name
    return True


def _dispatching(chosen: str) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """An attention function in transformers' form: the layout's where one is given, else the chosen one."""
    otherwise: Callable[..., tuple[Tensor, Tensor | None]] = ALL_ATTENTION_FUNCTIONS[chosen]

    def dispatch(
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        *,
        layout: Layout | None = None,
        **settings: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if layout is None:
            return otherwise(module, query, key, value, attention_mask, **settings)
        window = settings.get("sliding_window")
        if window is not None and layout.longest > window:
            raise InputError(
                f"a text of {layout.longest} tokens is longer than the model's sliding window of {window}:",
                where="policy",
                remedy="set model.share_prompt to false.",
            )
        scaling = settings.get("scaling") or module.scaling
        # Under autocast, rotary embeddings of float32 weights leave queries and keys wider than values.
        query, key = query.to(value.dtype), key.to(value.dtype)
        out = layout.attend(module.layer_idx, query, key, value, scaling=scaling)
        return out.transpose(1, 2).contiguous(), None

    return dispatch
