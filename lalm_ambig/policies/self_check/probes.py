"""Probe texts of a self-check, their states by the class's own forward, and the tolerances of comparisons."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.attention.abilities import Abilities, Finding
from lalm_ambig.policies.attention.tree import Segment

StatePairs = Sequence[tuple[Float[Tensor, "*_"], Float[Tensor, "*_"]]]
"""States [token, channel] of one text, computed in two ways."""
AGREES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Largest mean difference of a token's states, as a share of their mean size, that rounding explains. Two ways of
computing the same sum products in another order in each layer."""
WORST = {torch.float32: 1.0, torch.float16: 0.75, torch.bfloat16: 0.75}
"""The token that must meet it, as a quantile of all. With two bytes a router's near tie may choose another expert for
some tokens, which says nothing about the others."""
ULPS = {torch.float32: 8.0, torch.float16: 0.5, torch.bfloat16: 0.25}
"""Largest mean change of a token's states, in units in the last place, when another text is exchanged. Most models do
not change at all; experts get other batches then, so their products may be rounded otherwise."""
LONG, SHORT, BEHIND = 14, 9, 4
"""Tokens of the probes."""
WIDEST_WINDOW = 200
"""Widest sliding window, in tokens, that a longer probe tries out; a layer must tell the layout of a wider one."""
STEPS = 2
"""Tokens that are decoded one at a time."""
CLIP_S = 0.7
"""Length of the probe's audio in seconds, for models that take audio."""


@dataclass(frozen=True)
class PolicyWithAbilities:
    """A view of a policy with other abilities."""

    policy: Any
    abilities: Abilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)


@dataclass(frozen=True)
class ProbeText:
    """A text with its states by the class's own forward, alone in its batch."""

    text: Segment
    ids: Int[Tensor, " token"]
    """Its tokens, with the placeholders of audio."""
    states: Float[Tensor, "token channel"]

    def beginning(self, cut: int) -> Segment:
        """Its first tokens."""
        return self.text.part(slice(cut), None)

    def rest(self, cut: int, parent: int) -> Segment:
        """The tokens after them, which contain no audio."""
        return Segment(self.text.embeddings[cut:], parent, self.ids[cut:])


def make_probes(policy: Any) -> tuple[ProbeText, ProbeText]:
    """A longer and a shorter text with their states.

    Raises:
        InputError: The class's own forward cannot be used.
    """
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
    for probe in probes:
        refuse_infinite(policy, probe.states)
    return probes


def refuse_infinite(policy: Any, states: Float[Tensor, "*token channel"]) -> None:
    """Refuse a checkpoint whose own states are not finite.

    Args:
        policy: The policy, for the message.
        states: The hidden states of its own forward pass.

    Raises:
        InputError: A state is NaN or infinite.
    """
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
    """Tokens of text, drawn from the vocabulary with a fixed seed."""
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
    """Width of the sliding window in tokens; None if no layer has one."""
    window = getattr(config.get_text_config(), "sliding_window", None)
    return window if isinstance(window, int) and window > 0 else None


def relative_difference(pairs: StatePairs, *, quantile: float = 1.0) -> float:
    """Mean difference of a token's states as a share of their mean size, ≥ 0, for the token at a quantile.

    Args:
        pairs: States [token, channel] to compare, and their reference.
        quantile: Of all tokens; 1 is the worst token.
    """
    shares = []
    for ours, reference in pairs:
        ours, reference = ours.float(), reference.float()
        shares.append((ours - reference).abs().mean(-1) / reference.abs().mean(-1).clamp(min=1e-12))
    per_token = torch.cat(shares).cpu()  # quantiles are computed in float64, which some devices lack
    return float(per_token.quantile(quantile)) if bool(per_token.isfinite().all()) else float("inf")


def agreement(name: str, pairs: StatePairs) -> Finding:
    """Whether two ways of computing states agree up to rounding."""
    dtype = pairs[0][1].dtype
    allowed, worst = AGREES[dtype], relative_difference(pairs, quantile=WORST[dtype])
    return Finding(
        name, worst <= allowed, f"states differ by {worst:.2g} of their size; rounding explains {allowed:.2g}"
    )


def invariance(name: str, pairs: StatePairs) -> Finding:
    """Whether states stay as they are where another text in the row is exchanged."""
    dtype = pairs[0][1].dtype
    allowed = ULPS[dtype] * torch.finfo(dtype).eps
    worst = relative_difference([(after, before) for before, after in pairs])
    return Finding(
        name, worst <= allowed, f"states move by {worst:.2g} of their size; rounding explains {allowed:.2g}"
    )


def error_line(error: Exception) -> str:
    """Return the message of an exception in one line.

    Raises:
        MemoryError: The exception is one. It says nothing about the model's class.
        OutOfMemoryError: Likewise, of the device's memory.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        raise error
    text = " ".join(str(error).split())[:200]
    return text or type(error).__name__


def run_trial(name: str, trial: Callable[[], Finding]) -> Finding:
    """The finding of a trial; it is negative if the class's code fails."""
    try:
        return trial()
    except Exception as error:  # a class's own code
        return Finding(name, False, error_line(error))
