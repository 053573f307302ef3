"""How responses are written in validation and evaluation."""

from dataclasses import dataclass

from lalm_ambig.core.errors import InputError
from lalm_ambig.data.encoding import Readout


@dataclass(frozen=True)
class Generation:
    """Greedy responses, or the mean over several sampled ones, in validation and evaluation.

    Raises:
        InputError: A number is below 1.
    """

    max_new_tokens: int = 256
    """Longest reasoning, or verbalised answer, in tokens; a longer reasoning is closed and marked."""
    validation_items: int = 64
    """Items for which text is generated at each validation, at least 1: they choose the best checkpoint. They are the
    same each time: a sample of the split in which speakers, parts and majority classes keep their shares. With the
    logit readout the rest are read after the curated reasoning."""
    samples: int = 1
    """1: the greedy response. More: the mean distribution of so many sampled ones, at temperature 1 and from a fixed
    seed. An item's first n samples are the same whatever their number."""

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "validation_items", "samples"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} must be at least 1, got {getattr(self, name)}", where="model.generation"
                )


def check_needs_logits(readout: Readout, *, kl_weight: float, class_mass_weight: float = 0.0) -> None:
    """Refuse losses of class logits for responses that state their distribution in words.

    Args:
        readout: Where a response's distribution is read from.
        kl_weight: Weight of L_dist (ambiguity-aware LALM, eq. 2).
        class_mass_weight: Weight of the class names' probability.

    Raises:
        InputError: The readout is verbalised and a weight is not 0: text has no gradient of either.
    """
    for name, weight in (("kl_weight", kl_weight), ("class_mass_weight", class_mass_weight)):
        if readout == "verbalised" and weight:
            raise InputError(
                f"{name} is {weight}, but a verbalised distribution has no gradient:",
                where="model.objective",
                remedy=f"set {name} to 0 (CE then teaches the JSON of p), or readout to logits.",
            )
