"""ChaosNLI: pairs of sentences from the development sets of SNLI and MNLI, each judged by 100 annotators.

Read as distributed: `chaosNLI_snli.jsonl` and `chaosNLI_mnli_m.jsonl`, in the root or in the folder
`chaosNLI_v1.0` that the archive unpacks to. Votes are `label_counter`; `majority_label` and `old_label` are
not used (ties go to the first class, SPEC 1).

The split is paper B's: items shuffled by the seed, 65/15/20. Items of one image (SNLI) or one premise (MNLI)
can therefore be in two splits: with seed 0, 25 % of the test items of SNLI show an image of the training items,
and 20 % of MNLI's a premise. Each part is split by itself, so that an item is in the same split whether one part
is read or both.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from lalm_ambig.categories import CategorySet
from lalm_ambig.corpora.bad_rows import BadRows
from lalm_ambig.corpora.base import PAPER_B_METRICS, Corpus
from lalm_ambig.corpora.chaosnli_rows import CATEGORIES, Pair, read_pairs
from lalm_ambig.corpora.splits import split_by_group
from lalm_ambig.errors import InputError
from lalm_ambig.items import Item

FILES = {"snli": "chaosNLI_snli.jsonl", "mnli": "chaosNLI_mnli_m.jsonl"}
"""File of each part."""
SIZES = {"snli": 1514, "mnli": 1599}
"""Pairs of each part as distributed."""
UNPACKED = "chaosNLI_*"
"""Name of the folder that the archive unpacks to, whatever its version."""
SHARES = {"validation": 0.15, "test": 0.2}


class ChaosNli(Corpus):
    """The pairs of one part or both; text only."""

    name = "chaosnli"
    how_to_obtain = (
        "ChaosNLI (CC BY-NC 4.0) is linked from github.com/easonnie/chaos_nli: unpack it and give the folder that "
        f"holds {' and '.join(FILES.values())}."
    )
    prompt = "inference"
    table_metrics = PAPER_B_METRICS
    parts = tuple(FILES)
    total_items: ClassVar[int | None] = sum(SIZES.values())

    def __init__(
        self,
        root: Path | str,
        *,
        part: str | None = None,
        seed: int = 0,
        fold: int | None = None,
        skip_bad_rows: bool = False,
    ) -> None:
        """
        Args:
            root: The folder that holds the files, or the one that the archive was unpacked in.
            part: snli or mnli; None for both.
            seed: Seed of the split by item.
            fold: None for 65/15/20, or 0 to 4 for one of five folds, of whose other items 15 % validate.
            skip_bad_rows: Leave malformed rows out, with a note, instead of stopping at the first.
        """
        super().__init__(root, part=part, seed=seed, fold=fold, skip_bad_rows=skip_bad_rows)
        self._notes: tuple[str, ...] = ()

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    def label_files(self) -> Sequence[Path]:
        self.require(self.root)
        return [self._file(part) for part in self._chosen()]

    def notes(self) -> Sequence[str]:
        return self._notes

    def read(self) -> Iterator[Item]:
        bad_rows, places = BadRows(skip=self.skip_bad_rows), dict[str, str]()
        found: dict[str, list[Pair]] = {}
        for part, path in zip(self._chosen(), self.label_files(), strict=True):
            found[part] = read_pairs(path, bad_rows=bad_rows, places=places)
            if not found[part]:
                raise InputError("no pair in it could be read", where=str(path))
        sizes = [f"{part}: {len(pairs):,} of {SIZES[part]:,} pairs" for part, pairs in found.items()]
        self._notes = (*sizes, *bad_rows.notes(kept=len(places)))
        for part, pairs in found.items():
            splits = split_by_group(
                (pair.uid for pair in pairs), seed=self.seed, fold=self.fold, shares=SHARES
            )
            for pair in pairs:
                split = splits[pair.uid]
                yield Item(id=pair.uid, votes=pair.votes, text=pair.text, split=split, part=part)

    def _chosen(self) -> Sequence[str]:
        return self.parts if self.part is None else (self.part,)

    def _file(self, part: str) -> Path:
        """The file of a part; InputError where there is none, or more than one to choose from."""
        name = FILES[part]
        if (self.root / name).is_file():
            return self.root / name
        unpacked = sorted(path for path in self.root.glob(f"{UNPACKED}/{name}") if path.is_file())
        if len(unpacked) > 1:
            wrong = f"{name} is in {unpacked[0].parent.name} and {unpacked[1].parent.name}: give one of them"
            raise InputError(wrong, where=str(self.root))
        if not unpacked:
            wrong = f"not found: {name} or {UNPACKED}/{name} under {self.root}."
            raise InputError(wrong, where=f"corpus {self.name}", remedy=self.how_to_obtain)
        return unpacked[0]
