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
from jaxtyping import Float, Int
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
    distinct = {form: row for row, form in enumerate(dict.fromkeys(forms.values()))}
    matrix, empty = vectors(list(distinct)), distinct.get("", -1)
    ids: dict[str, int] = {}
    wanted, known = (_coded(group, forms, distinct, ids) for group in (asked, train))
    rank = {ids[name]: at for at, name in enumerate(seeded_order((one.judged for one in train), seed=seed))}
    first = np.array([1 - rank[one] / len(rank) for one in known.judged.tolist()])
    found: list[list[int]] = [[] for _ in asked]
    for annotator, places in wanted.places.items():
        own = np.array(known.places.get(annotator, []), dtype=int)
        for rows in _chunks(places) if len(own) and count else ():
            near = (matrix[wanted.row[rows]] @ matrix[known.row[own]].T).toarray().round(DIGITS)
            same_item = wanted.judged[rows][:, None] == known.judged[own]
            same_words = (wanted.row[rows][:, None] == known.row[own]) & (known.row[own] != empty)
            scores = np.where(same_item | same_words, -np.inf, near + TIE * first[own])
            for at, score in zip(rows, scores, strict=True):
                found[at] = [int(own[place]) for place in _largest(score, count)]
    return found


@dataclass(frozen=True)
class _Coded:
    """Ratings as numbers."""

    row: Int[np.ndarray, " rating"]
    """Row of the item's words."""
    judged: Int[np.ndarray, " rating"]
    """Number of the item."""
    places: dict[str, list[int]]
    """Annotator → positions."""


def _coded(
    ratings: Sequence[Asked], forms: dict[str, str], rows: dict[str, int], ids: dict[str, int]
) -> _Coded:
    """Ratings as numbers; items that `ids` lacks are added to it."""
    places = defaultdict[str, list[int]](list)
    for at, one in enumerate(ratings):
        places[one.annotator].append(at)
    row = [rows[forms[one.text]] for one in ratings]
    judged = [ids.setdefault(one.judged, len(ids)) for one in ratings]
    return _Coded(np.array(row, dtype=int), np.array(judged, dtype=int), dict(places))


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
