"""The classes of IEMOCAP, the words and codes of its label files, and the votes from raters' tags."""

from collections.abc import Iterable, Sequence

from lalm_ambig.core.categories import CategorySet

CATEGORIES = CategorySet(("anger", "happiness", "sadness", "neutral"))
CLASS_OF_TAG = {
    "anger": "anger",
    "happiness": "happiness",
    "excited": "happiness",
    "excitement": "happiness",
    "sadness": "sadness",
    "neutral": "neutral",
    "neutral state": "neutral",
}
"""Tag → the class that it is a vote for."""
OTHER_TAGS = frozenset({"frustration", "fear", "surprise", "disgust", "other"})
"""The other tags of the label files: votes for none of the classes."""
CLASS_CODES = ("ang", "hap", "exc", "sad", "neu")
"""The codes of a header that make the 5,531 turns of the four classes."""
OTHER_CODES = ("fru", "sur", "fea", "dis", "oth", "xxx")
"""The other codes; `xxx` means that the raters have no majority."""
SEVERAL_TAGS = ("each", "first", "1/k")
"""Ways to count the k tags of one rater."""


def count_votes(tags_by_rater: Iterable[Sequence[str]], several_tags: str) -> tuple[float, ...]:
    """Count the votes of a turn.

    Args:
        tags_by_rater: Tags of each rater. Happiness and excited of one rater are two tags.
        several_tags: How the k tags of one rater count: each is a vote (`each`), only the first is (`first`), or each
            is 1/k of a vote (`1/k`). k counts tags for other labels, too.

    Returns:
        Votes in the order of CATEGORIES; all 0 where every tag is for another label.
    """
    votes = [0.0] * len(CATEGORIES)
    for tags in tags_by_rater:
        weight = 1 / len(tags) if several_tags == "1/k" and tags else 1.0
        for tag in tags[:1] if several_tags == "first" else tags:
            if tag in CLASS_OF_TAG:
                votes[CATEGORIES.index(CLASS_OF_TAG[tag])] += weight
    return tuple(votes)
