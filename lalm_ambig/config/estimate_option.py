"""The option `--estimate` of `fit`, and what is assumed of lengths and cards beside it."""

from dataclasses import dataclass

from lalm_ambig.core.errors import InputError

FLAG = "--estimate"
HELP = "Print what memory the run would take. Nothing is loaded or trained. --estimate.NAME asks for it, too."


@dataclass(frozen=True)
class Assumptions:
    """What a configuration does not tell. None: taken from the corpus where it was checked before, else assumed."""

    prompt_tokens: float | None = None
    """Tokens of a prompt without sound."""
    clip_s: float | None = None
    """Longest clip in seconds."""
    curated_tokens: float | None = None
    """Tokens of a curated response."""
    cards: tuple[float, ...] = (24.0, 80.0)
    """Sizes of GPUs in GB, where none is visible."""


@dataclass(frozen=True)
class EstimateOptions:
    """The assumptions as the command line gives them."""

    prompt_tokens: float | None = None
    """Tokens of a prompt without sound."""
    clip_s: float | None = None
    """Longest clip in seconds."""
    curated_tokens: float | None = None
    """Tokens of a curated response."""
    cards: str = "24,80"
    """Sizes of GPUs in GB with commas, where none is visible."""

    def assumptions(self) -> Assumptions:
        """The assumptions.

        Raises:
            InputError: A value is no positive number.
        """
        lengths = {name: getattr(self, name) for name in ("prompt_tokens", "clip_s", "curated_tokens")}
        checked = {name: _positive(n, name) for name, n in lengths.items() if n is not None}
        return Assumptions(**checked, cards=tuple(_positive(part, "cards") for part in self.cards.split(",")))


def _positive(value: float | str, name: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise InputError(f"expected a positive number, got {str(value)!r}", where=f"{FLAG}.{name}")
    return number
