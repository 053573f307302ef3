"""The items of a corpus that a command works on. They are streamed, so a large corpus takes little memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from data_curation.clips import Clip, open_clip
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus


@dataclass(frozen=True)
class ItemSelection:
    """A selection of the items of a corpus.

    Raises:
        InputError: `limit` is below 1.
    """

    corpus: Corpus
    splits: tuple[str, ...] = ()
    """Selected splits; empty for all."""
    limit: int | None = None
    """Largest number of items, the first ones; None for all."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InputError(f"must be at least 1, got {self.limit}", where="--limit")

    def items(self) -> Iterator[Item]:
        """The selected items, in the corpus's order."""
        chosen = (item for item in self.corpus.read() if not self.splits or item.split in self.splits)
        return islice(chosen, self.limit)

    def count(self) -> int:
        """Number of selected items.

        Raises:
            InputError: No item is selected.
        """
        total = sum(1 for _ in self.items())
        if not total:
            where = f"corpus {self.corpus.name}"
            raise InputError(f"no items in {', '.join(self.splits) or 'it'}", where=where)
        return total

    @property
    def audio_root(self) -> Path:
        """The folder that clip names are relative to: the corpus's folder, or that of its file."""
        root = self.corpus.root
        return root.parent if root.is_file() else root

    def clip(self, item: Item) -> Clip | None:
        """The item's sound, not decoded yet; None where the item has none.

        Raises:
            InputError: The file cannot be read.
        """
        return None if item.audio is None else open_clip(Path(item.audio), root=self.audio_root)
