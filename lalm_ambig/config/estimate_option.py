"""The option `--estimate` of fit, and what may be said about lengths and cards beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lalm_ambig.core.errors import InputError

FLAG = "--estimate"


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


def taken_out(arguments: Sequence[str]) -> tuple[list[str], Assumptions | None]:
    """The other arguments, and what was said with `--estimate`; None without the option.

    `--estimate.prompt_tokens N`, `.clip_s S`, `.curated_tokens N` and `.cards 24,80` ask for an estimate, too.
    InputError for another name or a value that is no positive number.
    """
    rest, found = list[str](), None
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == FLAG and not equals:
            found = found or Assumptions()
        elif name.startswith(f"{FLAG}."):
            field = name.removeprefix(f"{FLAG}.")
            found = _with(found or Assumptions(), field, value if equals else next(words, ""))
        else:
            rest.append(word)
    return rest, found


def _with(said: Assumptions, field: str, given: str) -> Assumptions:
    numbers = [_number(part, f"{FLAG}.{field}") for part in given.split(",")]
    if field == "cards":
        return replace(said, cards=tuple(numbers))
    if field == "prompt_tokens":
        return replace(said, prompt_tokens=numbers[0])
    if field == "clip_s":
        return replace(said, clip_s=numbers[0])
    if field == "curated_tokens":
        return replace(said, curated_tokens=numbers[0])
    raise InputError(
        f"unknown assumption {field!r}: expected prompt_tokens, clip_s, curated_tokens or cards.", where=FLAG
    )


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise InputError(f"expected a positive number, got {text!r}", where=where)
    return number
