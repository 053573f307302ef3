"""A tree of segments in one packed row: several continuations of one beginning, with each token computed once.

K responses to a prompt are a root with K children; C class names after a response are C children of it. Each segment
sees its ancestors and, causally, itself. There is no padding, so texts of several lengths cost their real tokens only.

This works for a decoder whose tokens meet only in attention layers that use transformers' attention interface.
`enable_layout_attention` registers ours there, which calls the configured one if no layout is given. Whether a model is
of that kind is tried out (see `self_check`).
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
"""Prefix of our implementations' names: `lalm_ambig_sdpa` is ours on top of `sdpa`."""
FEWEST_SHARED = 16
"""Shortest common beginning of a batch's prompts, in tokens, that gets a segment of its own."""
SHAREABLE = ("sdpa", "flash_attention_2")
"""Implementations that ours can call; with another, prompts are not shared."""
UNKNOWN_ARGUMENTS = ("s_aux", "sinks", "softcap", "position_bias", "score_mod", "block_mask")
"""Arguments of an attention layer that a layout does not support."""


LAYOUT_MASK_SHAPE = (1, 1, 1, 1)
"""Shape of a packed row's mask: with four axes, transformers passes it on unchanged."""


class NotShareableError(RuntimeError):
    """An attention layer needs something that a layout cannot do, so the model's prompts cannot be shared."""


@dataclass(frozen=True)
class Segment:
    """A run of tokens that follows its parent segment directly."""

    embeddings: Float[Tensor, "token channel"]
    parent: int | None = None
    """Index of an earlier segment; None for a root."""
    ids: Int[Tensor, " token"] | None = None
    """The token ids, if they describe all of it; None if it contains audio, unless the policy `takes_ids`. Some models
    need ids beside embeddings, so a pass over segments that all have ids uses them."""

    def __len__(self) -> int:
        return len(self.embeddings)

    def part(self, place: slice, parent: int | None) -> "Segment":
        """Some of its tokens, after another parent."""
        return Segment(self.embeddings[place], parent, None if self.ids is None else self.ids[place])

    def followed_by(self, other: "Segment") -> "Segment":
        """One segment of this one's tokens and the other's, with this one's parent."""
        embeddings = torch.cat([self.embeddings, other.embeddings])
        return Segment(embeddings, self.parent, join_ids([self, other]))


def join_ids(segments: Sequence[Segment]) -> Int[Tensor, " token"] | None:
    """Concatenated token ids of several segments; None if one of them has no ids."""
    ids = [segment.ids for segment in segments]
    parts = [part for part in ids if part is not None]
    return torch.cat(parts) if len(parts) == len(ids) else None


def common_prefix_length(texts: Sequence[Float[Tensor, "_ channel"]]) -> int:
    """Number of tokens with which all texts begin; 0 if it is below `FEWEST_SHARED`, or if there is one text.

    Embeddings are compared, not token ids, since two clips have the same placeholders but other features. Empty texts
    are ignored, and every other text keeps at least one token of its own.
    """
    filled = [text.detach() for text in texts if len(text)]
    shortest = min((len(text) for text in filled), default=1) - 1
    if len(filled) < 2 or shortest < FEWEST_SHARED:
        return 0
    first = filled[0][:shortest]
    differs = torch.stack([(text[:shortest] != first).any(-1) for text in filled[1:]]).any(0)
    count = int((differs.cumsum(0) == 0).sum())
    return count if count >= FEWEST_SHARED else 0


def with_common_root(segments: Sequence[Segment], common: int) -> list[Segment]:
    """The same tree with the first `common` tokens of all roots as one new root, which comes first."""
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
    """Arguments of an attention layer beside queries, keys and values."""

    scaling: float
    window: int | None = None
    """Number of last tokens that each token sees, itself included; None for all."""
    dropout: float = 0.0


class AttentionLayout(ABC):
    """Which tokens of a packed row see which; passed through the decoder to its attention layers."""

    def __init__(self) -> None:
        self.windows: list[int | None] = []
        """Window of each attention layer, in the order of the layers."""

    @abstractmethod
    def attend(
        self,
        layer: int,
        query: Float[Tensor, "row head new width"],
        key: Float[Tensor, "row key_head new width"],
        value: Float[Tensor, "row key_head new width"],
        ask: AttentionArguments,
    ) -> Float[Tensor, "row head new width"]:
        """Compute the attention output of one layer.

        Args:
            layer: Number of the attention layer.
            query: Queries of the new tokens.
            key: Their keys.
            value: Their values.
            ask: Scaling, window and dropout.
        """


class TreeLayout(AttentionLayout):
    """The positions of the segments in one packed row, and what each of them sees."""

    def __init__(self, lengths: Sequence[int], parents: Sequence[int | None], *, keep: bool = False) -> None:
        """Args:
        lengths: Tokens of each segment.
        parents: Index of each segment's parent, which comes before it.
        keep: Store every layer's keys and values in `key_values`, to decode from them.
        """
        super().__init__()
        ends = torch.tensor(lengths).cumsum(0).tolist()
        self.slices = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        self.ancestors: list[tuple[slice, ...]] = []
        self.starts: list[int] = []
        """Position of each segment's first token on its path from the root."""
        for parent in parents:
            self.ancestors.append(() if parent is None else (*self.ancestors[parent], self.slices[parent]))
            self.starts.append(0 if parent is None else self.starts[parent] + lengths[parent])
        self.lengths = list(lengths)
        self.keep = keep
        self.key_values: list[tuple[Tensor, Tensor]] = []

    @cached_property
    def positions(self) -> Int[Tensor, " token"]:
        """Position of every token on its own path."""
        return torch.cat([torch.arange(s, s + n) for s, n in zip(self.starts, self.lengths, strict=True)])

    @property
    def longest(self) -> int:
        return max(start + length for start, length in zip(self.starts, self.lengths, strict=True))

    def path(self, segment: int) -> tuple[slice, ...]:
        """Slices of a segment's ancestors and of the segment itself in the row."""
        return (*self.ancestors[segment], self.slices[segment])

    def attend(
        self,
        layer: int,
        query: Float[Tensor, "row head new width"],
        key: Float[Tensor, "row key_head new width"],
        value: Float[Tensor, "row key_head new width"],
        ask: AttentionArguments,
    ) -> Float[Tensor, "row head new width"]:
        if self.keep:
            self.key_values.append((key, value))
        parts = []
        for segment, place in enumerate(self.slices):
            if place.start == place.stop:
                continue
            keys = torch.cat([key[:, :, seen] for seen in self.path(segment)], dim=2)
            values = torch.cat([value[:, :, seen] for seen in self.path(segment)], dim=2)
            parts.append(_causal(query[:, :, place], keys, values, ask))
        return torch.cat(parts, dim=2)


def _causal(query: Tensor, key: Tensor, value: Tensor, ask: AttentionArguments) -> Tensor:
    """Causal attention of the last tokens of a text to all of it, or to a window."""
    new, total = query.shape[2], key.shape[2]
    bias: Any = None
    if ask.window is not None and total > ask.window:
        bias = _windowed(new, total, ask.window).to(query.device)
    elif new != total:
        bias = causal_lower_right(new, total)
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


def _windowed(new: int, total: int, window: int) -> Bool[Tensor, "new total"]:
    """True where one of the last `new` tokens sees another: itself or an earlier one inside the window."""
    distance = torch.arange(total - new, total)[:, None] - torch.arange(total)
    return (distance >= 0) & (distance < window)


def enable_layout_attention(config: Any) -> None:
    """Register our attention on top of a decoder's configured one, which it calls if no layout is given.

    It stays registered, since activations that are computed again need it in the backward pass.

    Raises:
        NotShareableError: Ours cannot call the configured one.
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
    """Restore a decoder's configured attention."""
    config._attn_implementation = str(config._attn_implementation).removeprefix(PREFIX)


def _dispatching(chosen: str) -> Callable[..., tuple[Tensor, Tensor | None]]:
    """An attention function in transformers' form: the layout's if one is given, else the chosen one."""
    otherwise: Callable[..., tuple[Tensor, Tensor | None]] = ALL_ATTENTION_FUNCTIONS[chosen]

    def dispatch(  # noqa: PLR0913  # transformers' own form
        module: Any,
        query: Float[Tensor, "row head new width"],
        key: Float[Tensor, "row key_head token width"],
        value: Float[Tensor, "row key_head token width"],
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
    """The arguments of an attention layer.

    Raises:
        NotShareableError: A layout does not support one of them.
    """
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
