"""The items of one set of LeWiDi, with their annotators.

Splits are the organisers'. Keys are unique within a file only: in VariErrNLI one key is two pairs in two splits. So an
item's id is `PART-FILE-KEY`, such as `mp-test-17`.

Copies of the organisers' repository can lack the train files of MP and CSC, which are large. Then the items of
`validation_share` of the dev file's posts (MP) or contexts (CSC) validate, drawn by the seed, and the others are for
training. So replies to one post are on one side. A train file that is there is read, and the dev file then validates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item, Split
from lalm_ambig.corpora.base import Corpus, TableColumns
from lalm_ambig.corpora.lewidi.entries import Entry, read_entries
from lalm_ambig.corpora.lewidi.parts import FILE_SPLITS, NOMINAL_METRICS, ORDINAL_METRICS, PARTS, Part
from lalm_ambig.corpora.lewidi.profiles import profiles_of_entry, profiles_of_file
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.splits import split_by_group
from lalm_ambig.files.json_lines import json_value
from lalm_ambig.files.text import read_text

VALIDATION_SHARE = 0.1


@dataclass(kw_only=True, eq=False)
class Lewidi(Corpus):
    """One set of the shared tasks on learning with disagreements.

    Args:
        root: The organisers' repository: the folder that holds `LeWiDi_2-2023` and `LeWiDi_3-2025`.
        part: The set; there is no default, since each set has classes of its own.
        seed: Seed of the draw from the dev file, where there is no train file.
        fold: None; the organisers say which items are tested.
        validation_share: Share of the dev file's posts or contexts that validates where there is no train file, in
            [0, 1).

    Raises:
        InputError: No part is named, a fold is asked for, or `validation_share` is not in [0, 1).
    """

    validation_share: float = VALIDATION_SHARE

    name = "lewidi"
    how_to_obtain = (
        "The sets are in the organisers' repository, github.com/Le-Wi-Di/le-wi-di.github.io (no licence is stated): "
        "clone it and give its folder, which holds LeWiDi_2-2023 and LeWiDi_3-2025."
    )
    licensed = True
    parts = tuple(PARTS)
    table_metrics = TableColumns(NOMINAL_METRICS, ordered=ORDINAL_METRICS)

    def __post_init__(self) -> None:
        super().__post_init__()
        where = f"corpus {self.name}"
        if self.part is None:
            self.require(self.root)
            raise InputError(
                f"it needs a part: one of {', '.join(self.parts)}.",
                where=where,
                remedy="Give --part NAME (of fit: --data.corpus.part NAME).",
            )
        if self.fold is not None:
            wrong = f"fold must be null, got {self.fold}: the organisers say which items are tested"
            raise InputError(wrong, where=where)
        check_share(self.validation_share)

    @property
    def set(self) -> Part:
        """What is particular to the part."""
        return PARTS[self.part or ""]

    @property
    def categories(self) -> CategorySet:
        return self.set.categories

    @property
    def prompt(self) -> str:
        return self.set.prompt

    @property
    def speaker_disjoint(self) -> bool:
        """False: the organisers split by item."""
        return False

    @property
    def draws_splits(self) -> bool:
        """True where the dev file is divided, for want of a train file."""
        return self._train is None and self.validation_share > 0

    @property
    def no_items_remedy(self) -> str:
        return "Give --data.corpus.validation_share 0.1 (or --option validation_share=0.1)"

    def label_files(self) -> Sequence[Path]:
        return [path for _, path in self._files()]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "validation_share": self.validation_share}

    def read(self) -> Iterator[Item]:
        """Yield the items of the train, dev and test file, in this order.

        Raises:
            InputError: A file is missing, or an entry is malformed and `skip_bad_rows` is off.
        """
        bad_rows, by_file = BadRows(skip=self.skip_bad_rows), dict[str, list[Entry]]()
        for kind, path in self._files():
            by_file[kind] = read_entries(path, self.set, bad_rows=bad_rows)
        good = sum(map(len, by_file.values()))
        self._notes = (*self._missing_train(by_file), *bad_rows.notes(good=good))
        for kind, entries in by_file.items():
            splits = self._splits(kind, entries)
            for entry in entries:
                yield self._item(kind, entry, splits[entry.key])

    def annotator_profiles(self) -> Mapping[str, str]:
        """The organisers' facts on each annotator: of 2025 a file of the set, of 2023 what the entries say.

        Raises:
            InputError: A file is malformed.
        """
        path = self._path("annotators_meta")
        if path.is_file():
            return profiles_of_file(path)
        profiles: dict[str, str] = {}
        for _, labels in self._files():
            content = json_value(read_text(labels), source=str(labels))
            for values in content.values():
                profiles |= profiles_of_entry(values) if isinstance(values, dict) else {}
        return profiles

    def test_entries(self) -> list[Entry]:
        """The entries of the test file, in its order, with the organisers' soft labels.

        Raises:
            InputError: The file is missing, or an entry is malformed.
        """
        path = self.require(self._path("test"))
        return read_entries(path, self.set, bad_rows=BadRows(skip=False))

    def item_id(self, kind: str, entry: Entry) -> str:
        """The id of an entry's item.

        Args:
            kind: The file: train, dev or test.
            entry: An entry of it.
        """
        return f"{self.part}-{kind}-{entry.key}"

    def _item(self, kind: str, entry: Entry, split: Split) -> Item:
        return Item(
            id=self.item_id(kind, entry),
            votes=entry.votes(len(self.categories)),
            text=entry.text,
            split=split,
            part=self.part,
            annotators=entry.annotators,
            annotations=entry.classes,
        )

    def _splits(self, kind: str, entries: Sequence[Entry]) -> dict[str, Split]:
        """Split of each entry of a file, by its key."""
        if kind != "dev" or self._train is not None:
            return dict.fromkeys((entry.key for entry in entries), FILE_SPLITS[kind])
        groups = {entry.key: entry.shared_text or entry.key for entry in entries}
        shares = {"validation": self.validation_share, "test": 0.0}
        splits = split_by_group(groups.values(), seed=self.seed, shares=shares)
        return {key: splits[group] for key, group in groups.items()}

    def _missing_train(self, by_file: dict[str, list[Entry]]) -> Iterator[str]:
        if self._train is not None:
            return
        drawn = sum(split == "validation" for split in self._splits("dev", by_file["dev"]).values())
        yield (
            f"{self._path('train').name} is missing (the organisers' repository has it, some copies do not): of the "
            f"{len(by_file['dev']):,} items of {self._path('dev').name}, {drawn:,} validate (option validation_share) "
            "and the others are for training"
        )

    @property
    def _train(self) -> Path | None:
        """The train file; None where there is none and the set is read without it."""
        path = self._path("train")
        return path if self.set.has_train or path.is_file() else None

    def _files(self) -> list[tuple[str, Path]]:
        """The kind and path of each file.

        Raises:
            InputError: The root or a file is missing.
        """
        self.require(self.root)
        kinds = [kind for kind in FILE_SPLITS if kind != "train" or self._train is not None]
        return [(kind, self.require(self._path(kind))) for kind in kinds]

    def _path(self, kind: str) -> Path:
        return self.root / self.set.folder / f"{self.set.stem}_{kind}.json"


def check_share(share: object) -> None:
    """Check the option `validation_share`.

    Raises:
        InputError: The value is no number in [0, 1).
    """
    is_number = isinstance(share, int | float) and not isinstance(share, bool)
    if not is_number or not 0 <= share < 1:  # type: ignore[operator]
        wrong = f"validation_share must be a number in [0, 1), got {share!r}"
        raise InputError(wrong, where=f"corpus {Lewidi.name}")
