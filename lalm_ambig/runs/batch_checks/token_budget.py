"""Compares the limits of the policy's own text with the curated texts that it learns from."""

import statistics
from collections.abc import Sequence

from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.methods.base import Method

MEASURED = 1000
"""Most texts that are tokenised, spread evenly over the training items."""


def budget_notes(model: Method, data: DataModule, encoder: Encoder) -> list[str]:
    """Return a line on the lengths of curated texts, and the share of them that each limit would cut.

    There is none if the policy does not reason, or no training item has a curated text.

    Args:
        model: The method, with its limits in tokens.
        data: Data that is read.
        encoder: The encoder of a loaded policy.
    """
    if not model.reasoning:
        return []
    items = data.items("train", with_rationale=True)
    chosen = items[:: -(-len(items) // MEASURED)] if items else items
    if not chosen:
        return []
    lengths = sorted(encoder.written_length(item) for item in chosen)
    limits = {"model.generation.max_new_tokens": model.generation.max_new_tokens}
    if model.sampled_tokens:
        limits["model.sampling.max_new_tokens"] = model.sampled_tokens
    return [budget_line(lengths, limits)]


def budget_line(lengths: Sequence[int], limits: dict[str, int]) -> str:
    """Return one line on texts under limits.

    Args:
        lengths: Tokens of each text, in rising order.
        limits: Tokens, by the name of the setting.
    """
    about = f"curated texts have {statistics.median_low(lengths)} tokens in the median, at most {lengths[-1]}"
    shares = {name: sum(n > limit for n in lengths) / len(lengths) for name, limit in limits.items()}
    if not any(shares.values()):
        return f"{about}: all within {', '.join(f'{name} {limit}' for name, limit in limits.items())}"
    cut = ", ".join(
        f"{share:.1%} of them at {name} {limits[name]}" for name, share in shares.items() if share
    )
    return (
        f"{about}: the policy's own, as long as these, would lack its answer: {cut}; {lengths[-1]} cuts none"
    )
