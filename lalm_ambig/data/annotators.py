"""Items as pairs of item and annotator: each pair asks for what one annotator chose (*perspectivist* task).

A pair is an item as any other: its id is `ITEM@ANNOTATOR`, its votes are that annotator's, and its split is the item's.
So all pairs of an item are in one split. What the prompt says of the annotator is made here: the profile that the
corpus has, and this annotator's ratings of the most similar *training* items. The item itself is never among them, nor
one with the same words (see `nearest`).

A rationale argues for the votes of all, so a pair has none of its item's.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, pair_id
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.corpora.preparing.prepared import Prepared
from lalm_ambig.data.items import Items
from lalm_ambig.data.nearest import asked_of, nearest
from lalm_ambig.files.json_lines import short_repr
from lalm_ambig.prompts.annotators import annotator_section

Annotators = Literal["together", "each"]
"""Whether an item asks for all of its annotators together, or for each in a pair of its own."""
EACH: Annotators = "each"
EXAMPLES = 4
"""Earlier ratings in a prompt, unless another number is set."""
OPTION = "data.annotators"


def check_examples(annotators: Annotators, examples: int | None, *, train_votes: int | None = None) -> int:
    """The number of earlier ratings in a prompt.

    Args:
        annotators: `together` or `each`.
        examples: The setting; None for the default.
        train_votes: The setting of fewer votes; None for all.

    Raises:
        InputError: The number is negative, or it is set where nobody is asked for alone; or pairs are to have fewer
            votes than their one annotator's.
    """
    if train_votes is not None and annotators == EACH:
        raise InputError(
            f"a pair has the vote of one annotator, so there is nothing to draw from with {OPTION} each:",
            where="data.train_votes",
            remedy=f"leave train_votes out, or {OPTION} at together.",
        )
    if examples is None:
        return EXAMPLES
    if annotators != EACH:
        remedy = f"Add --{OPTION} each (of evaluate and baseline: --annotators each), or leave it out."
        raise InputError(
            "it says what is known of each annotator.", where="data.annotator_examples", remedy=remedy
        )
    if examples < 0:
        raise InputError(f"must be at least 0, got {examples}", where="data.annotator_examples")
    return examples


def by_annotator(prepared: Prepared, corpus: Corpus, *, examples: int) -> Prepared:
    """A corpus with a pair for each annotator of each item, in the items' order.

    Args:
        prepared: The corpus, checked.
        corpus: The same corpus, for profiles of its annotators.
        examples: Most earlier ratings in a prompt.

    Raises:
        InputError: An item names no annotator, or two pairs have one id.
    """
    pairs = list(_pairs(prepared, where=f"corpus {corpus.name}"))
    _check_ids(pairs, where=f"corpus {corpus.name}")
    table = prepared.table.take([pair.row for pair in pairs])
    table = _with_columns(
        table,
        id=[pair.id for pair in pairs],
        votes=[pair.votes(len(prepared.categories)) for pair in pairs],
        rationale=[None] * len(pairs),
        annotators=[[pair.annotator] * len(pair.chosen) for pair in pairs],
        annotations=[pair.chosen for pair in pairs],
        annotator=[pair.annotator for pair in pairs],
    )
    made = replace(prepared, table=table)
    about = sections(
        list(made.items()),
        made.categories,
        profiles=corpus.annotator_profiles(),
        examples=examples,
        seed=corpus.seed,
    )
    table = _with_columns(table, about_annotator=about)
    return replace(prepared, table=table)


def sections(
    pairs: Sequence[Item],
    categories: CategorySet,
    *,
    profiles: Mapping[str, str],
    examples: int,
    seed: int,
) -> list[str]:
    """What the prompt of each pair says of its annotator.

    Args:
        pairs: Of all splits.
        categories: The classes, whose words in prompts say what was chosen.
        profiles: Annotator → profile.
        examples: Most earlier ratings.
        seed: Seed of the order of equally similar items.
    """
    train = [pair for pair in pairs if pair.split == "train" and pair.text]
    asked = [asked_of(pair) for pair in pairs]
    near = nearest(asked, [asked_of(pair) for pair in train], count=examples, seed=seed)
    return [
        annotator_section(
            str(pair.annotator),
            profile=profiles.get(str(pair.annotator)),
            earlier=[(train[at].text or "", _choice(train[at], categories)) for at in reversed(places)],
        )
        for pair, places in zip(pairs, near, strict=True)
    ]


def first_of_each(items: Iterable[Item]) -> list[Item]:
    """One item for each that was judged: the first pair of each, or the items themselves where they are no pairs."""
    return list(each_once(items))


def each_once(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the items of `first_of_each`, without holding them in memory."""
    seen = set[str]()
    for item in items:
        if (name := item.judged) not in seen:
            seen.add(name)
            yield item


def counted(items: Items, annotators: Annotators) -> str:
    """The number of items in words, or of ratings and the items that they are of.

    Args:
        items: Items or pairs.
        annotators: Which of the two they are.
    """
    if annotators != EACH:
        return f"{len(items)} items"
    return f"{len(items)} ratings of {len(first_of_each(items))} items"


def whole_items(items: Items, sample: Callable[[Items, int], list[int]], *, count: int) -> list[int]:
    """Positions of a sample of what was judged, with all of its pairs, in the items' order.

    Args:
        items: Items or pairs.
        sample: Gives positions of so many of some items.
        count: Number of items; a pair is no item here.
    """
    places = defaultdict[str, list[int]](list)
    for place, item in zip(items.keep, items, strict=True):
        places[item.judged].append(place)
    chosen = set(sample(items.select([own[0] for own in places.values()]), count))
    return sorted(place for own in places.values() if own[0] in chosen for place in own)


def _choice(pair: Item, categories: CategorySet) -> str:
    """The classes that an annotator chose, as prompts name them."""
    return ", ".join(
        name for name, votes in zip(categories.prompt_names, pair.votes, strict=True) if votes > 0
    )


@dataclass(frozen=True)
class _Pair:
    """What an annotator chose for an item."""

    row: int
    """The item's row in the table."""
    item: str
    annotator: str
    chosen: list[int]

    @property
    def id(self) -> str:
        return pair_id(self.item, self.annotator)

    def votes(self, width: int) -> list[float]:
        return [float(self.chosen.count(place)) for place in range(width)]


def _pairs(prepared: Prepared, *, where: str) -> Iterator[_Pair]:
    columns = prepared.table.select(["id", "annotators", "annotations"]).to_pydict()
    rows = zip(columns["id"], columns["annotators"], columns["annotations"], strict=True)
    nameless = [name for name, annotators, _ in zip(*columns.values(), strict=True) if not annotators]
    if nameless:
        raise InputError(
            f"{len(nameless):,} of its {len(columns['id']):,} items name no annotators, the first "
            f"{short_repr(nameless[0])}, so that nobody's own answer can be asked for.",
            where=where,
            remedy="Leave annotators at together, or name them.",
        )
    for row, (item, annotators, annotations) in enumerate(rows):
        chosen = defaultdict[str, list[int]](list)
        for name, label in zip(annotators, annotations, strict=True):
            chosen[name].append(label)
        yield from (_Pair(row, item, name, labels) for name, labels in chosen.items())


def _check_ids(pairs: Sequence[_Pair], *, where: str) -> None:
    seen: dict[str, _Pair] = {}
    for pair in pairs:
        other = seen.setdefault(pair.id, pair)
        if other is not pair:
            raise InputError(
                f"item {short_repr(pair.item)} with annotator {short_repr(pair.annotator)} and item "
                f"{short_repr(other.item)} with annotator {short_repr(other.annotator)} have one id, {pair.id}.",
                where=where,
                remedy="Rename one of the items.",
            )


def _with_columns(table: pyarrow.Table, **columns: list[Any]) -> pyarrow.Table:
    """The table with these columns in place of those of the same names, of the same types."""
    for name, values in columns.items():
        field = table.schema.field(name)
        table = table.set_column(
            table.schema.get_field_index(name), field, [pyarrow.array(values, field.type)]
        )
    return table
