"""The classes of IEMOCAP, the words and codes of its label files, and how the tags of raters become votes."""

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
"""The tags that are votes, and for which class."""
OTHER_TAGS = frozenset({"frustration", "fear", "surprise", "disgust", "other"})
"""The other tags of the label files: votes for none of the classes."""
CLASS_CODES = ("ang", "hap", "exc", "sad", "neu")
"""The codes of a header that make the 5,531 turns of the four classes."""
OTHER_CODES = ("fru", "sur", "fea", "dis", "oth", "xxx")
"""The other codes; `xxx` means that the raters have no majority."""
SEVERAL_TAGS = ("each", "first", "1/k")
"""How the k tags of one rater may count."""


def count_votes(tags_by_rater: Iterable[Sequence[str]], several_tags: str) -> tuple[float, ...]:
    """Votes in the order of CATEGORIES, all 0 where every tag is for another label.

    Of a rater with k tags each is a vote (`each`), only the first (`first`), or each is a k-th (`1/k`), k
    being all the rater's tags, those for other labels too. Happiness and excited of one rater are two tags.
    """
    votes = [0.0] * len(CATEGORIES)
    for tags in tags_by_rater:
        weight = 1 / len(tags) if several_tags == "1/k" and tags else 1.0
        for tag in tags[:1] if several_tags == "first" else tags:
            if tag in CLASS_OF_TAG:
                votes[CATEGORIES.index(CLASS_OF_TAG[tag])] += weight
    return tuple(votes)
