"""A split's items as the loaders see them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from lalm_ambig.core.types import Item
from lalm_ambig.corpora.preparing.prepared import ItemView, Texts


class Items(Dataset[Item], Sequence[Item]):
    """Items of a split, or some of them. Rationales of a file replace the corpus's."""

    def __init__(
        self,
        source: ItemView,
        rationales: dict[str, str],
        keep: Sequence[int],
        change: Callable[[Item], Item] | None = None,
    ) -> None:
        """Args:
        source: Items of the corpus.
        rationales: By item's id.
        keep: Positions of the items in the source.
        change: Applied to each item; None for none.
        """
        self.source, self.rationales, self.keep, self.change = source, rationales, keep, change

    def __len__(self) -> int:
        return len(self.keep)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "Items": ...
    def __getitem__(self, index: int | slice) -> "Item | Items":
        if isinstance(index, slice):
            return self.select(self.keep[index])
        return self._as_given(self.source[self.keep[index]])

    def select(self, places: Sequence[int]) -> "Items":
        """Return the items at these positions of the source, in that order."""
        return Items(self.source, self.rationales, places, self.change)

    def changed(self, change: Callable[[Item], Item]) -> "Items":
        """Return the items as a function changes each."""
        return Items(self.source, self.rationales, self.keep, change)

    def __iter__(self) -> Iterator[Item]:
        return map(self._as_given, self.source.select(self.keep))

    def with_sound(self) -> list[Item]:
        """The items that people heard."""
        places = self.view.with_sound()
        return list(self.select([self.keep[place] for place in places]))

    @property
    def view(self) -> ItemView:
        """The items as the corpus has them, of which columns can be read together."""
        return self.source.select(self.keep)

    def label_dist(self) -> Float[Tensor, "item category"]:
        """Target distribution of every item; builds items only where these are changed."""
        if self.change is not None:
            return torch.tensor([item.label_dist for item in self])
        votes = self.view.votes_as_read()
        return (votes / votes.sum(-1, keepdim=True)).float()

    def sizes(self, column: Texts) -> tuple[np.ndarray, np.ndarray]:
        """Bytes and characters of every item's text (`ItemView.sizes`). Rationales of a file come first."""
        view = self.view
        sizes, lengths = view.sizes(column)
        for place, item in enumerate(view.ids() if self.rationales and column == "rationale" else ()):
            if item in self.rationales:
                sizes[place] = len(self.rationales[item].encode())
                lengths[place] = len(self.rationales[item])
        return sizes, lengths

    def _as_given(self, item: Item) -> Item:
        rationale = self.rationales.get(item.id)
        item = item if rationale is None else replace(item, rationale=rationale)
        return item if self.change is None else self.change(item)
