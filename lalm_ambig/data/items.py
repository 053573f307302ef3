"""A split's items as the loaders see them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

from torch.utils.data import Dataset

from lalm_ambig.core.types import Item
from lalm_ambig.corpora.preparing.prepared import ItemView


class Items(Dataset[Item], Sequence[Item]):
    """Items of a split, or some of them. Rationales of a file replace the corpus's."""

    def __init__(self, source: ItemView, rationales: dict[str, str], keep: Sequence[int]) -> None:
        self.source, self.rationales, self.keep = source, rationales, keep

    def __len__(self) -> int:
        return len(self.keep)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "Items": ...
    def __getitem__(self, index: int | slice) -> "Item | Items":
        if isinstance(index, slice):
            return Items(self.source, self.rationales, self.keep[index])
        return self._with_rationale(self.source[self.keep[index]])

    def select(self, places: Sequence[int]) -> "Items":
        """Return the items at these positions of the source, in that order."""
        return Items(self.source, self.rationales, places)

    def __iter__(self) -> Iterator[Item]:
        return map(self._with_rationale, self.source.select(self.keep))

    def with_sound(self) -> list[Item]:
        """The items that people heard."""
        return [item for item in self if item.has_sound]

    def _with_rationale(self, item: Item) -> Item:
        rationale = self.rationales.get(item.id)
        return item if rationale is None else replace(item, rationale=rationale)
