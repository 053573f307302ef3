"""Abilities of a loaded checkpoint, as measured by its self-check, and the part of a policy that passes need."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lalm_ambig.policies.attention.native_forward import IDENTITY_TRANSFORM, LogitTransform

Batching = Literal["padded", "equal", "single"]
"""Texts that can be computed together: of any lengths, padded; of equal length only; none (`single`)."""
Decoding = Literal["padded", "equal", "single", "never"]
"""Responses that can continue together from the model's own cache. `never`: not even one, so that each token is
computed from the full text again."""


TEXTS = {
    "equal": "only texts of equal length are computed together: this model gives other values for padded ones",
    "single": "texts are computed one by one: this model gives other values for several together",
}
RESPONSES = {
    "equal": "only responses to prompts of equal length are written together: this model's cache gives other values "
    "for padded ones",
    "single": "responses are written one by one: this model's cache gives other values for several together",
    "never": "each token of a response is computed from the whole text again: this model's cache gives other values",
}


@dataclass(frozen=True)
class Finding:
    """One trial of the self-check and its result."""

    name: str
    ok: bool
    detail: str
    """The result with its numbers."""


@dataclass(frozen=True)
class Abilities:
    """Abilities of a checkpoint on this device, in this type, with this attention."""

    shares: bool = False
    """Whether several texts can share one row, with their common tokens computed once."""
    batching: Batching = "padded"
    decoding: Decoding = "padded"
    logit_transform: LogitTransform = IDENTITY_TRANSFORM
    """The class's transform of its head's product into logits."""
    longest_shared: int | None = None
    """Longest text in tokens for which sharing is exact; None for no limit."""
    longest_row: int | None = None
    """Longest row in tokens for which sharing is exact; None for no limit."""
    rotary_limit: int | None = None
    """Length in tokens above which a text has other rotary frequencies, which a class then gives to its entire batch;
    None if they never change."""
    untrainable: str = ""
    """Why gradients do not reach the trained weights, in one line; empty if they do."""
    reason: str = ""
    """Why texts cannot share a row, in one line; empty if they can."""
    findings: tuple[Finding, ...] = ()

    def shares_texts_of(self, tokens: int, *, row: int) -> bool:
        """Whether texts of at most `tokens` tokens may share a row of `row` tokens."""
        short = self.longest_shared is None or tokens <= self.longest_shared
        return self.shares and short and (self.longest_row is None or row <= self.longest_row)

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Groups of texts that are computed together, as indices."""
        return self._groups(lengths, self.batching)

    def decoded_together(self, lengths: Sequence[int]) -> list[list[int]]:
        """Groups of texts that continue together, as indices; under `never` any grouping is right."""
        return self._groups(lengths, "padded" if self.decoding == "never" else self.decoding)

    def _groups(self, lengths: Sequence[int], batching: Batching) -> list[list[int]]:
        if batching == "single":
            return [[n] for n in range(len(lengths))]
        if batching == "equal":
            return equal_groups(lengths)
        limit = self.rotary_limit
        return equal_groups([limit is not None and length > limit for length in lengths])

    @property
    def notes(self) -> list[str]:
        """Lines for the user on the slower ways that are taken, and why."""
        notes = []
        if not self.shares and self.reason:
            notes.append(f"prompts are not shared but computed for each response: {self.reason}")
        notes += [TEXTS[self.batching]] if self.batching in TEXTS else []
        return [*notes, RESPONSES[self.decoding]] if self.decoding in RESPONSES else notes


def equal_groups(values: Sequence[int]) -> list[list[int]]:
    """Indices of equal values, in the order of first occurrence."""
    groups: dict[int, list[int]] = {}
    for position, value in enumerate(values):
        groups.setdefault(value, []).append(position)
    return list(groups.values())


@runtime_checkable
class SupportsPasses(Protocol):
    """The part of a policy that passes over texts need."""

    @property
    def abilities(self) -> Abilities: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def pad_id(self) -> int: ...

    def embed_ids(self, ids: Int[Tensor, "*item token"]) -> Float[Tensor, "*item token channel"]: ...

    def hidden(
        self,
        embeddings: Float[Tensor, "item new channel"],
        mask: Bool[Tensor, "item token"],
        *,
        ids: Int[Tensor, "item new"] | None = None,
        past: dict[str, Any] | None = None,
        has_padding: bool = True,
    ) -> Float[Tensor, "item new channel"]: ...

    def decoded(
        self,
        embeddings: Float[Tensor, "row token channel"],
        ids: Int[Tensor, "row token"] | None,
        **settings: Any,
    ) -> tuple[Float[Tensor, "row token channel"], dict[str, Any]]: ...

    def rotary_positions(self, positions: Int[Tensor, "item token"]) -> Tensor: ...
