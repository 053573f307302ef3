"""The option `--estimate` of `fit`, and its assumptions about lengths and GPUs."""

from dataclasses import dataclass

from lalm_ambig.core.errors import InputError

FLAG = "--estimate"
HELP = "Print what memory the run would take. Nothing is loaded or trained. --estimate.NAME asks for it, too."


@dataclass(frozen=True)
class Assumptions:
    """Lengths and GPU sizes that no configuration tells.

    None means the corpus's own length, if the corpus was checked before. Otherwise the estimate assumes a length.
    """

    prompt_tokens: float | None = None
    """Tokens of a prompt without sound."""
    clip_s: float | None = None
    """Longest clip in seconds."""
    curated_tokens: float | None = None
    """Tokens of a curated response."""
    cards: tuple[float, ...] = (24.0, 80.0)
    """Sizes of GPUs in GiB, used if none is visible."""


@dataclass(frozen=True)
class EstimateOptions:
    """The same assumptions as the command line gives them."""

    prompt_tokens: float | None = None
    """Tokens of a prompt without sound."""
    clip_s: float | None = None
    """Longest clip in seconds."""
    curated_tokens: float | None = None
    """Tokens of a curated response."""
    cards: str = "24,80"
    """Sizes of GPUs in GiB with commas, used if none is visible."""

    def assumptions(self) -> Assumptions:
        """Check the values and return them as assumptions.

        Returns:
            The assumptions.

        Raises:
            InputError: A value is not a positive number.
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
