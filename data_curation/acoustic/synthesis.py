"""Step 3, the synthesis: the weight of each class, in graded words instead of numbers.

Each level of share has its own wordings. A reader who knows the scale can therefore recover the distribution, and a
larger share never gets a weaker word. The scale was made for about ten listeners, whose shares are tenths.
"""

from collections.abc import Sequence
from itertools import groupby

from data_curation.acoustic.terms import Pick

Level = tuple[float, tuple[str, ...]]
"""Least share of a level, and its wordings with a placeholder for the class."""

ALONE: tuple[str, ...] = ("{} is the unanimous impression", "the clip is unanimously heard as {}")
LEADING: tuple[Level, ...] = (
    (0.85, ("{} is the nearly unanimous impression", "nearly every listener would hear {}")),
    (0.75, ("{} clearly dominates", "a clear majority would hear {}")),
    (0.65, ("{} takes a solid majority", "a solid majority would hear {}")),
    (0.55, ("{} takes a modest majority", "a modest majority would hear {}")),
    (0.45, ("{} weighs about as much as the rest together", "the scales hang even between {} and the rest")),
    (0.35, ("{} leads without a majority", "opinion leans to {} short of a majority")),
    (0.0, ("{} is barely ahead in a scattered field", "a scattered field puts {} just in front")),
)
"""Wordings for a class with more votes than any other."""
TIED: tuple[Level, ...] = (
    (0.45, ("{} are evenly split", "the impression is cut evenly between {}")),
    (0.35, ("{} share the lead evenly", "the lead is shared evenly by {}")),
    (0.0, ("{} are level in a scattered field", "a scattered field leaves {} level in front")),
)
"""Wordings for classes that lead together, by the share of each."""
FOLLOWING: tuple[Level, ...] = (
    (0.45, ("{} is a near-equal rival", "nearly as many would hear {}")),
    (0.35, ("{} forms a strong minority", "a strong minority would hear {}")),
    (0.25, ("{} forms a sizeable minority", "a sizeable minority would hear {}")),
    (0.15, ("{} keeps a modest following", "a modest following goes to {}")),
    (0.075, ("{} has a small following", "a small following goes to {}")),
    (0.0, ("{} is a faint trace", "a faint trace points to {}")),
)
FOLLOWING_MANY: tuple[Level, ...] = (
    (0.45, ("{} are near-equal rivals", "nearly as many would hear {}")),
    (0.35, ("{} each form a strong minority", "strong minorities would hear {}")),
    (0.25, ("{} each form a sizeable minority", "sizeable minorities would hear {}")),
    (0.15, ("{} each keep a modest following", "a modest following goes to each of {}")),
    (0.075, ("{} each have a small following", "a small following goes to each of {}")),
    (0.0, ("{} are faint traces", "a faint trace points to each of {}")),
)
"""The same levels for several classes at once: `FOLLOWING` and this have equal thresholds."""
OPENINGS = ("On balance", "Taken together", "Weighing words and voice", "Overall")
TIE = 1e-9


def synthesise(shares: Sequence[tuple[str, float]], *, pick: Pick) -> str:
    """Sentences on the classes with votes.

    Args:
        shares: Classes with their shares, which sum to 1, the largest first.
        pick: Chooses among wordings.
    """
    leaders = [name for name, share in shares if shares[0][1] - share < TIE]
    rest = shares[len(leaders) :]
    lead = _lead(leaders, shares[0][1], pick=pick)
    text = f"{pick(OPENINGS)}, {lead}"
    if not rest:
        return f"{text}."
    followers = [
        _followers([name for name, _ in group], level, pick=pick)
        for level, group in groupby(rest, key=lambda pair: level_of(pair[1], FOLLOWING))
    ]
    return f"{'; '.join([text, *followers])}."


def level_of(share: float, scale: Sequence[Level]) -> int:
    """Index of the share's level in a scale, 0 for the strongest."""
    return next(index for index, (least, _) in enumerate(scale) if share >= least - TIE)


def joined(parts: Sequence[str]) -> str:
    """Words as a list in a sentence.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _lead(names: Sequence[str], share: float, *, pick: Pick) -> str:
    if share > 1 - TIE:
        return pick(ALONE).format(names[0])
    scale = LEADING if len(names) == 1 else TIED
    return pick(scale[level_of(share, scale)][1]).format(joined(names))


def _followers(names: Sequence[str], level: int, *, pick: Pick) -> str:
    scale = FOLLOWING if len(names) == 1 else FOLLOWING_MANY
    return pick(scale[level][1]).format(joined(names))
