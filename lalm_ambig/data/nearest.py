r"""The ratings that an annotator gave to training items, the most similar item first.

Two texts are similar if they share rare words: the cosine of their word counts, each weighted by the inverse document
frequency $\log(N / n)$ of the word among the N training items. A word that all of these have weighs nothing.

Similarities that are equal to six digits, such as those of texts without a common word, are put into a seeded order.
An item is never among its own answers, nor is another one with the same words.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.duplicates.contents import text_form
from lalm_ambig.corpora.reading.splits import seeded_order

DIGITS = 6
"""Digits to which similarities are compared."""
TIE = 1e-7
"""Weight of the seeded order: less than a step of the last digit."""
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Asked:
    """A rating that is to be predicted, or one of a training item."""

    annotator: str
    judged: str
    """Id of the item."""
    text: str
    """Its words; empty where it has no text."""


def asked_of(item: Item, annotator: str | None = None) -> Asked:
    """The rating of a pair of item and annotator.

    Args:
        item: The pair.
        annotator: A name in place of the pair's annotator.
    """
    return Asked(annotator or str(item.annotator), item.judged, item.text or "")


def nearest(asked: Sequence[Asked], train: Sequence[Asked], *, count: int, seed: int) -> list[list[int]]:
    """For each rating, the same annotator's ratings of the most similar training items.

    Args:
        asked: The ratings.
        train: Those of training items.
        count: Most ratings of each; fewer where the annotator has not so many.
        seed: Seed of the order among equally similar items.

    Returns:
        Positions in `train`, the most similar first. Empty for an annotator without other training ratings.
    """
    forms = {one.text: text_form(one.text) if one.text else "" for one in (*asked, *train)}
    vectors = _Vectors(list({one.judged: forms[one.text] for one in train}.values()))
    rank = {name: at for at, name in enumerate(seeded_order((one.judged for one in train), seed=seed))}
    by_annotator = defaultdict[str, list[int]](list)
    for at, one in enumerate(train):
        by_annotator[one.annotator].append(at)
    of_annotator = defaultdict[str, list[int]](list)
    for at, one in enumerate(asked):
        of_annotator[one.annotator].append(at)
    found: list[list[int]] = [[] for _ in asked]
    for annotator, places in of_annotator.items():
        known = by_annotator[annotator]
        if not known or not count:
            continue
        order = np.array([rank[train[at].judged] for at in known]) / max(1, len(rank))
        columns = vectors([forms[train[at].text] for at in known])
        for rows in _chunks(places):
            near = (vectors([forms[asked[at].text] for at in rows]) @ columns.T).toarray()
            for at, similarity in zip(rows, near, strict=True):
                own = np.array([_is_same(asked[at], train[other], forms) for other in known])
                score = np.where(own, -np.inf, similarity.round(DIGITS) + TIE * (1 - order))
                found[at] = [known[place] for place in _largest(score, count)]
    return found


def _is_same(one: Asked, other: Asked, forms: dict[str, str]) -> bool:
    """Whether two ratings are of one item, or of two with the same words."""
    return one.judged == other.judged or (forms[one.text] != "" and forms[one.text] == forms[other.text])


def _largest(score: Float[np.ndarray, " known"], count: int) -> Iterator[int]:
    """Places of the largest scores, in falling order, without those that are excluded."""
    places = np.argpartition(-score, min(count, len(score)) - 1)[:count]
    for place in places[np.argsort(-score[places], kind="stable")]:
        if np.isfinite(score[place]):
            yield int(place)


def _chunks(places: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(places), ROWS_AT_ONCE):
        yield places[start : start + ROWS_AT_ONCE]


class _Vectors:
    """Texts as rows of length 1: the weighted counts of the words that training items have."""

    def __init__(self, forms: Sequence[str]) -> None:
        """Args:
        forms: The training items' words.
        """
        documents = Counter(word for form in forms for word in set(form.split()))
        self.column = {word: at for at, word in enumerate(sorted(documents))}
        counts = np.array([documents[word] for word in self.column], dtype=float)
        self.weight = np.log(len(forms) / counts) if len(counts) else counts

    def __call__(self, forms: Sequence[str]) -> csr_array:
        """One row per text; a row of zeros for a text without a word that weighs anything."""
        places, columns, values = list[int](), list[int](), list[float]()
        for at, form in enumerate(forms):
            counts = Counter(self.column[word] for word in form.split() if word in self.column)
            row = np.array([count * self.weight[column] for column, count in counts.items()])
            length = float(np.sqrt((row**2).sum())) if len(row) else 0.0
            if length > 0:
                places += [at] * len(row)
                columns += list(counts)
                values += (row / length).tolist()
        return csr_array((values, (places, columns)), shape=(len(forms), max(1, len(self.column))))
