"""Choosing the next token: temperature, top-k, top-p, and randomness that belongs to an item, not to a batch."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core.errors import InputError

MONOTONE = ("cpu",)
"""Kinds of devices whose running sums never fall."""


@dataclass(frozen=True)
class Sampling:
    """How responses are sampled in training.

    Raises:
        InputError: A setting is out of its range.
    """

    max_new_tokens: int = 256
    """Longest response in tokens."""
    temperature: float = 1.0
    """Divides the logits; log-probabilities are those of the tempered policy, here and in the loss. 0 is greedy."""
    top_p: float = 1.0
    """Sample among the most likely tokens with this share of the probability, in (0, 1]; 1 is all."""
    top_k: int = 0
    """Sample among this number of most likely tokens; 0 is all."""
    merge_adapter: bool = False
    """Merge the adapter into the weights while sampling also where that rounds it, as in bfloat16: fewer and faster
    steps on a GPU, for the memory of the weights once more. `rollouts/log_prob_mismatch` shows what it costs. In
    float32 on a CPU it is merged anyway."""
    cuda_graphs: bool = False
    """Record a decode step as a CUDA graph and repeat it, on a GPU and where prompts are shared. Nobody has run it yet:
    its first result is compared with a step of its own, and the loop goes on without it if they differ."""
    seed: int | None = None
    """Seed of the random numbers: the run's `seed`, or None. An item's depend on it, the step and its id only."""

    def __post_init__(self) -> None:
        rules = (
            ("max_new_tokens", self.max_new_tokens >= 0, "at least 0"),
            ("temperature", 0 <= self.temperature < float("inf"), "at least 0"),
            ("top_p", 0 < self.top_p <= 1, "in (0, 1]"),
            ("top_k", self.top_k >= 0, "at least 0"),
        )
        for name, holds, expected in rules:
            if not holds:
                raise InputError(
                    f"{name} must be {expected}, got {getattr(self, name)}", where="model.sampling"
                )


GREEDY = Sampling(temperature=0.0)


def choose_tokens(
    logits: Float[Tensor, "row vocabulary"], sampling: Sampling, noise: Float[Tensor, " row"]
) -> tuple[Int[Tensor, " row"], Float[Tensor, " row"]]:
    """Choose the next token of each row.

    Sampling inverts the cumulative distribution at `noise`: it takes the first token with a share whose running sum is
    above that point. A token without a share is never chosen, however the device rounds its sums.

    Args:
        logits: Logits of the next token.
        sampling: Temperature, top-k and top-p; temperature 0 is greedy.
        noise: Uniform numbers in [0, 1).

    Returns:
        Each row's token, and its log-probability in nats under the tempered policy, before top-k and top-p.
    """
    logits = logits.float()
    if sampling.temperature == 0:
        tokens = logits.argmax(-1)
        return tokens, logits.gather(-1, tokens[:, None])[:, 0] - logits.logsumexp(-1)
    tempered = logits if sampling.temperature == 1 else logits / sampling.temperature
    log_probs = torch.log_softmax(tempered, dim=-1)
    shares = _truncated(log_probs.exp(), sampling)
    cumulative = shares.cumsum(-1)
    point = (noise.to(logits.device) * cumulative[:, -1])[:, None]
    tokens = _beyond(point, shares, cumulative)
    return tokens, log_probs.gather(-1, tokens[:, None])[:, 0]


def _beyond(point: Tensor, shares: Tensor, cumulative: Tensor) -> Int[Tensor, " row"]:
    """The first token of each row with a share whose running sum is above the point."""
    if shares.device.type in MONOTONE:  # a search in place of five passes
        below_all = torch.nextafter(cumulative[:, -1:], torch.zeros(()))
        tokens = torch.searchsorted(cumulative, torch.minimum(point, below_all), right=True)
        return tokens[:, 0].clamp(max=shares.shape[-1] - 1)  # beyond it for NaN only
    # A parallel running sum need not be monotone, so a token must also have a share. The first that has one is
    # taken where rounding leaves none beyond the point.
    has_share = shares > 0
    rank = has_share.to(torch.uint8) + (has_share & (cumulative > point)).to(torch.uint8)
    return rank.argmax(-1)


def _truncated(shares: Tensor, sampling: Sampling) -> Tensor:
    """The probabilities, with 0 for tokens outside top-k or top-p."""
    if sampling.top_k and sampling.top_k < shares.shape[-1]:
        smallest = shares.topk(sampling.top_k, dim=-1).values[:, -1:]
        shares = shares.masked_fill(shares < smallest, 0)
    if sampling.top_p < 1:
        ranked, order = shares.sort(dim=-1, descending=True)
        before = ranked.cumsum(-1) - ranked
        enough = before >= sampling.top_p * ranked.sum(-1, keepdim=True)
        shares = shares.masked_fill(enough.scatter(-1, order, enough), 0)
    return shares


def uniform_noise(
    ids: Sequence[str], *, seed: int, step: int, group_size: int, tokens: int
) -> Float[Tensor, "row token"]:
    """Uniform numbers in [0, 1) for `group_size` responses per item, rows item by item.

    An item's numbers depend on the seed, the step and its id only. So its responses do not change with the batch, the
    order, or the number of processes.

    Args:
        ids: Ids of the items.
        seed: Seed of the run.
        step: Training step.
        group_size: Responses per item, K.
        tokens: Numbers per response.
    """
    generators = [torch.Generator().manual_seed(item_seed(item, seed=seed, step=step)) for item in ids]
    return torch.cat([torch.rand(group_size, tokens, generator=generator) for generator in generators])


def item_seed(item: str, *, seed: int, step: int) -> int:
    """The seed of an item's random numbers at a step, of 56 bits.

    Args:
        item: Id of the item.
        seed: Seed of the run.
        step: Training step.
    """
    digest = hashlib.sha256(f"{seed}/{step}/{item}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
