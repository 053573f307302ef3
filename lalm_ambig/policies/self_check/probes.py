"""What a self-check tries a checkpoint with: texts, their states by the class's own forward, what rounding explains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.abilities import Abilities, Finding
from lalm_ambig.policies.attention.tree import Segment

AGREES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Mean difference of a token's states, as a share of their mean size, that rounding in a type explains: between two
ways of computing the same, products are summed in another order in each layer."""
WORST = {torch.float32: 1.0, torch.float16: 0.75, torch.bfloat16: 0.75}
"""Which token is held to that, as a quantile of all: with two bytes a router's near tie may fall to another expert for
some of them, which says nothing of the rest."""
ULPS = {torch.float32: 8.0, torch.float16: 0.5, torch.bfloat16: 0.25}
"""By how many units in the last place, on average, a token's states may move where another text is exchanged. Most
models do not move at all; experts get other batches then, so their products may be rounded otherwise."""
LONG, SHORT, BEHIND = 14, 9, 4
"""Tokens of the probes."""
WIDEST_WINDOW = 200
"""A sliding window of up to so many tokens is tried out by a longer probe; a wider one must be told to the layout."""
STEPS = 2
"""Tokens that are decoded one at a time."""
CLIP_S = 0.7
"""Length of the sound that models with ears are tried with."""


@dataclass(frozen=True)
class PolicyWithAbilities:
    """A policy as it would be with other abilities."""

    policy: Any
    abilities: Abilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)


@dataclass(frozen=True)
class ProbeText:
    """A text whose states the class's own forward has computed, alone and unpatched."""

    text: Segment
    ids: Int[Tensor, " token"]
    """Its tokens, those in place of sound included."""
    states: Float[Tensor, "token channel"]

    def beginning(self, cut: int) -> Segment:
        """Its first tokens."""
        return self.text.part(slice(cut), None)

    def rest(self, cut: int, parent: int) -> Segment:
        """What follows them, which holds no sound."""
        return Segment(self.text.embeddings[cut:], parent, self.ids[cut:])


def make_probes(policy: Any) -> tuple[ProbeText, ProbeText]:
    """A longer and a shorter text, and their states by the class's own forward. InputError where it cannot be used."""
    ids = token_ids(policy, _longest(policy) + SHORT + 2 * BEHIND)
    longer, shorter = ids[: len(ids) - SHORT - BEHIND], ids[len(ids) - SHORT - BEHIND :]
    try:
        probes = (
            ProbeText(*policy.native_states(longer, CLIP_S)),
            ProbeText(*policy.native_states(shorter, 0.0)),
        )
    except InputError:
        raise
    except Exception as error:  # a class's own code, on settings that nobody has tried
        raise InputError(
            f"its own forward pass of one short text fails: {error_line(error)}:",
            where="policy.path",
            remedy="Try policy.attention eager, another policy.dtype, or another checkpoint.",
        ) from error
    for found in probes:
        refuse_infinite(policy, found.states)
    return probes


def refuse_infinite(policy: Any, states: Tensor) -> None:
    """InputError where the class's own states are not finite."""
    if not torch.isfinite(states).all():
        raise InputError(
            f"{policy.description}: its own forward pass of one short text gives values that are not finite in "
            f"{str(states.dtype).removeprefix('torch.')}:",
            where="policy.dtype",
            remedy="Try float32 (or bfloat16), or another checkpoint.",
        )


def _longest(policy: Any) -> int:
    window = window_of(policy.attention_config)
    return LONG if window is None or window > WIDEST_WINDOW else window + LONG


def token_ids(policy: Any, count: int, *, seed: int = 0) -> Int[Tensor, " token"]:
    """Tokens of text, drawn from the vocabulary with a seed of their own."""
    tokenizer = policy.tokenizer
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    size = min(len(tokenizer), policy.base.get_input_embeddings().weight.shape[0])
    plain = torch.tensor([token for token in range(min(size, 20_000)) if token not in special])
    drawn = torch.randint(len(plain), (count,), generator=torch.Generator().manual_seed(seed))
    return plain[drawn].to(policy.device)


def exchanged(policy: Any, segment: Segment) -> Segment:
    """Another text of equal length, of other tokens."""
    assert segment.ids is not None
    ids = token_ids(policy, len(segment), seed=1)
    return Segment(policy.embed_ids(ids), segment.parent, ids)


def window_of(config: Any) -> int | None:
    """Tokens that a sliding window holds, where some layers have one."""
    window = getattr(config.get_text_config(), "sliding_window", None)
    return window if isinstance(window, int) and window > 0 else None


def relative_difference(pairs: Sequence[tuple[Tensor, Tensor]], *, quantile: float = 1.0) -> float:
    """Mean difference of a token's states as a share of their mean size: of the token at that quantile."""
    shares = []
    for ours, reference in pairs:
        ours, reference = ours.float(), reference.float()
        shares.append((ours - reference).abs().mean(-1) / reference.abs().mean(-1).clamp(min=1e-12))
    every = torch.cat(shares)
    return float(every.quantile(quantile)) if torch.isfinite(every).all() else float("inf")


def agreement(name: str, pairs: Sequence[tuple[Tensor, Tensor]]) -> Finding:
    dtype = pairs[0][1].dtype
    allowed, worst = AGREES[dtype], relative_difference(pairs, quantile=WORST[dtype])
    return Finding(
        name, worst <= allowed, f"states differ by {worst:.2g} of their size; rounding explains {allowed:.2g}"
    )


def invariance(name: str, pairs: Sequence[tuple[Tensor, Tensor]]) -> Finding:
    dtype = pairs[0][1].dtype
    allowed = ULPS[dtype] * torch.finfo(dtype).eps
    worst = relative_difference([(after, before) for before, after in pairs])
    return Finding(
        name, worst <= allowed, f"states move by {worst:.2g} of their size; rounding explains {allowed:.2g}"
    )


def error_line(error: Exception) -> str:
    """What a class's own code says of its failure, in one line; memory that ran out says nothing of the class."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        raise error
    text = " ".join(str(error).split())[:200]
    return text or type(error).__name__


def run_trial(name: str, trial: Callable[[], Finding]) -> Finding:
    """What a trial finds; a class whose code fails on it cannot do it."""
    try:
        return trial()
    except Exception as error:  # a class's own code
        return Finding(name, False, error_line(error))
