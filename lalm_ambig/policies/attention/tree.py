"""Several continuations behind one beginning, each token computed once: a tree of segments in one packed row.

A group of K responses to a prompt is a tree of one root and K children; C class names behind a response are C children
of it. Every segment sees its ancestors and, causally, itself. There is no padding anywhere, so a batch of ragged texts
costs its real tokens only. It works for a decoder whose tokens meet in attention layers only, all of which take their
attention from transformers' interface: `install` puts ours there, which hands over to the configured one wherever no
layout is given. Whether a model is of that kind is not assumed but tried out (see `self_check`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention as attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

PREFIX = "lalm_ambig_"
"""Of our implementations' names: `lalm_ambig_sdpa` is ours on top of `sdpa`."""
FEWEST_SHARED = 16
"""Tokens from which the beginning that all prompts of a batch have in common is worth a segment of its own."""
SHAREABLE = ("sdpa", "flash_attention_2")
"""Implementations that ours can hand over to; with another, prompts are not shared."""
UNKNOWN_ARGUMENTS = ("s_aux", "sinks", "softcap", "position_bias", "score_mod", "block_mask")
"""Arguments of an attention layer that change its outcome in ways a layout does not know."""


LAYOUT_MASK_SHAPE = (1, 1, 1, 1)
"""Shape of the mask that a packed row is given: with four axes, transformers hands it on as it is."""


class NotShareableError(RuntimeError):
    """An attention layer asks for something that a layout cannot do: the model's prompts cannot be shared."""


@dataclass(frozen=True)
class Segment:
    """A run of tokens that follows its parent segment directly."""

    embeddings: Float[Tensor, "token channel"]
    parent: int | None = None
    """Index of an earlier segment; None for a beginning."""
    ids: Int[Tensor, " token"] | None = None
    """The tokens, where they say all of it; None where sound stands among them. Some models need them beside the
    embeddings, so a pass over segments that all have them is made on them."""

    def __len__(self) -> int:
        return len(self.embeddings)

    def part(self, place: slice, parent: int | None) -> "Segment":
        """Some of its tokens, behind another segment."""
        return Segment(self.embeddings[place], parent, None if self.ids is None else self.ids[place])

    def followed_by(self, other: "Segment") -> "Segment":
        """One segment of this one's tokens and the other's, behind this one's parent."""
        whole = torch.cat([self.embeddings, other.embeddings])
        return Segment(whole, self.parent, join_ids([self, other]))


def join_ids(segments: Sequence[Segment]) -> Int[Tensor, " token"] | None:
    """The tokens of several segments one behind the other; None where one of them does not say its own."""
    ids = [segment.ids for segment in segments]
    known = [part for part in ids if part is not None]
    return torch.cat(known) if len(known) == len(ids) else None


def common_prefix_length(texts: Sequence[Float[Tensor, "_ channel"]]) -> int:
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


def with_common_root(segments: Sequence[Segment], common: int) -> list[Segment]:
    """The same tree with the first `common` tokens of all beginnings as one more segment, which comes first."""
    if not common:
        return list(segments)
    root = next(s.part(slice(common), None) for s in segments if s.parent is None and len(s))
    rest = [
        s.part(slice(common, None), 0) if s.parent is None else s.part(slice(None), s.parent + 1)
        for s in segments
    ]
    return [root, *rest]


@dataclass(frozen=True)
class AttentionArguments:
    """What an attention layer asks for beside queries, keys and values."""

    scaling: float
    window: int | None = None
    """How many of the last tokens each one sees, itself included; None for all."""
    dropout: float = 0.0


class AttentionLayout(ABC):
    """What of a packed row may see what; passed through the decoder to its attention layers."""

    def __init__(self) -> None:
        self.windows: list[int | None] = []
        """The window that each attention layer has asked for, in the order of the layers."""

    @abstractmethod
    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, ask: AttentionArguments
    ) -> Tensor:
        """Attention output [row, head, token, channel] of the attention layer number `layer`."""


class TreeLayout(AttentionLayout):
    """Where the segments of one packed row lie, and what each of them sees."""

    def __init__(self, lengths: Sequence[int], parents: Sequence[int | None], *, keep: bool = False) -> None:
        """
        Args:
            lengths: Tokens of each segment.
            parents: Index of each segment's parent, which comes before it.
            keep: Keep every layer's keys and values in `kept` (for decoding from them).
        """
        super().__init__()
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
    def positions(self) -> Int[Tensor, " token"]:
        """Position of every token on its own path."""
        return torch.cat([torch.arange(s, s + n) for s, n in zip(self.starts, self.lengths, strict=True)])

    @property
    def longest(self) -> int:
        return max(start + length for start, length in zip(self.starts, self.lengths, strict=True))

    def path(self, segment: int) -> tuple[slice, ...]:
        """Where a segment's ancestors and the segment itself lie in the row."""
        return (*self.before[segment], self.own[segment])

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, ask: AttentionArguments
    ) -> Tensor:
        if self.keep:
            self.kept.append((key, value))
        parts = []
        for segment, own in enumerate(self.own):
            if own.start == own.stop:
                continue
            places = self.path(segment)
            keys = torch.cat([key[:, :, place] for place in places], dim=2)
            values = torch.cat([value[:, :, place] for place in places], dim=2)
            parts.append(_causal(query[:, :, own], keys, values, ask))
        return torch.cat(parts, dim=2)


def _causal(query: Tensor, key: Tensor, value: Tensor, ask: AttentionArguments) -> Tensor:
    """Attention of the last tokens of a text to all of it, or to as many as a window holds."""
    new, every = query.shape[2], key.shape[2]
    bias: Any = None
    if ask.window is not None and every > ask.window:
        bias = _windowed(new, every, ask.window).to(query.device)
    elif new != every:
        bias = causal_lower_right(new, every)
    return attention(
        query,
        key,
        value,
        attn_mask=bias,
        dropout_p=ask.dropout,
        is_causal=bias is None,
        scale=ask.scaling,
        enable_gqa=query.shape[1] != key.shape[1],  # heads of keys that several heads of queries share
    )


def _windowed(new: int, every: int, window: int) -> Bool[Tensor, "new every"]:
    """True where one of the last `new` tokens of a text sees another: an earlier one, or itself, inside the window."""
    behind = torch.arange(every - new, every)[:, None] - torch.arange(every)
    return (behind >= 0) & (behind < window)


def enable_layout_attention(config: Any) -> None:
    """Put our attention in front of a decoder's configured one, which it hands over to where no layout is given.

    It stays there: activations that are computed again ask for it in the backward pass. NotShareableError where the
    configured one cannot be handed over to.
    """
    chosen = config._attn_implementation
    if str(chosen).startswith(PREFIX):
        return
    if chosen not in SHAREABLE:
        raise NotShareableError(f"its attention is {chosen}, which takes no layout")
    name = PREFIX + chosen
    AttentionInterface.register(name, _dispatching(chosen))
    AttentionMaskInterface.register(name, ALL_MASK_ATTENTION_FUNCTIONS[chosen])
    config._attn_implementation = name


def disable_layout_attention(config: Any) -> None:
    """Leave a decoder with its configured attention again."""
    config._attn_implementation = str(config._attn_implementation).removeprefix(PREFIX)


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
        layout: AttentionLayout | None = None,
        **settings: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if layout is None:
            return otherwise(module, query, key, value, attention_mask, **settings)
        ask = _asked(module, attention_mask, settings)
        layout.windows.append(ask.window)
        # Under autocast, rotary embeddings of float32 weights leave queries and keys wider than values.
        query, key = query.to(value.dtype), key.to(value.dtype)
        out = layout.attend(len(layout.windows) - 1, query, key, value, ask)
        return out.transpose(1, 2).contiguous(), None

    return dispatch


def _asked(module: Any, mask: Tensor | None, settings: dict[str, Any]) -> AttentionArguments:
    """The settings of an attention layer; NotShareableError for one that a layout does not know."""
    for name in UNKNOWN_ARGUMENTS:
        if settings.get(name) is not None:
            raise NotShareableError(f"its attention has {name}, which a layout does not know")
    if mask is None or mask.shape != LAYOUT_MASK_SHAPE:
        raise NotShareableError("its class makes an attention mask of its own")
    scaling = settings.get("scaling")
    return AttentionArguments(
        module.scaling if scaling is None else scaling,
        settings.get("sliding_window"),
        settings.get("dropout") or 0.0,
    )
