"""How responses are written in validation and evaluation, and what does not go with them."""

from dataclasses import dataclass

from lalm_ambig.core.errors import InputError
from lalm_ambig.data.encoding import Readout


@dataclass(frozen=True)
class Generation:
    """How responses are written in validation and evaluation: greedily, unless `samples` asks for a mean of several."""

    max_new_tokens: int = 256
    """Longest reasoning, or verbalised answer, in tokens; a longer reasoning is closed and marked."""
    validation_items: int = 64
    """Items for which text is generated at each validation, at least 1: they choose the best checkpoint. The same each
    time: a sample of the split in which speakers, parts and majority classes have their shares. With the logit readout
    the rest are read behind the curated reasoning."""
    samples: int = 1
    """1: the greedy response. More: the mean of the distributions of so many sampled ones, at temperature 1 and from a
    fixed seed; an item's first n are the same whatever their number."""

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "validation_items", "samples"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}", where="model.generation"
                )


def check_kl_needs_logits(readout: Readout, kl_weight: float) -> None:
    """InputError where L_dist is asked for and responses state their distribution in words."""
    if readout == "verbalised" and kl_weight:
        raise InputError(
            f"kl_weight is {kl_weight}, but a verbalised distribution has no gradient:",
            where="model.objective",
            remedy="set kl_weight to 0 (CE then teaches the JSON of p), or readout to logits.",
        )
