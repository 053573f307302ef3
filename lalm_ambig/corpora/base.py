"""What a corpus has to say: where its files are, how its votes are counted, how it is split.

To add one, write `corpora/NAME.py` with one subclass of `Corpus`; `open_corpus("NAME", root)` and the
commands' `--corpus NAME` find it by the module's name.
"""

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import lalm_ambig.corpora
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.discovery import classes_in, module_names, module_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import FOLDS, Item

PAPER_A_METRICS = ("js_div_bits", "bc", "r2_pearson_item", "brier_mean", "accuracy")
"""Paper A's columns (Table 2), and accuracy."""
PAPER_B_METRICS = ("js_dist_bits", "bc", "accuracy", "f1_macro", "f1_weighted")
"""Paper B's columns (Tables 1 and 2)."""


class Corpus(ABC):
    """A corpus on disk, read as it is distributed."""

    name: ClassVar[str]
    """The module's name: what `--corpus` takes."""
    how_to_obtain: ClassVar[str]
    """One sentence for the error of a missing root: where the corpus comes from and under which licence."""
    licensed: ClassVar[bool] = False
    """True where the licence forbids passing items on: curation asks before it uploads any."""
    parts: ClassVar[tuple[str, ...]] = ()
    """What `--part` may name; empty where a corpus has no parts."""
    table_metrics: ClassVar[tuple[str, ...]] = PAPER_A_METRICS
    """Names of the metrics that tables and break-downs show: the columns of the paper that has this corpus."""
    total_items: ClassVar[int | None] = None
    """Items of the whole corpus as distributed, to say how many a subset has; None where it is open."""
    speaker_disjoint_validation: ClassVar[bool] = True
    """False where train and validation share speakers; those of the test are in no other split either way."""

    ids_are_global: ClassVar[bool] = True
    """False where another root may hold other items under the same ids."""

    speaker_disjoint: bool = True
    """False where items are split without regard to who speaks: a speaker may then be in every split."""

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
            root: Folder of the corpus as distributed (a file, for JSON Lines).
            part: One of `parts`, to read only that.
            seed: Seed of the split; the same seed gives the same split on every machine.
            fold: None for the single seeded split, or 0 to 4 for one of five folds.
            skip_bad_rows: Leave malformed rows out, counted and listed, instead of stopping at the first.
        """
        self.root = Path(root).expanduser().absolute()
        self.part = part
        self.seed = seed
        self.fold = fold
        self.skip_bad_rows = skip_bad_rows
        if part is not None and part not in self.parts:
            known = f"one of {', '.join(self.parts)}" if self.parts else "none, it has no parts"
            raise InputError(f"unknown part {part!r}: expected {known}", where=f"corpus {self.name}")
        if fold is not None and fold not in range(FOLDS):
            raise InputError(f"fold must be 0 to {FOLDS - 1}, got {fold}", where=f"corpus {self.name}")

    @property
    @abstractmethod
    def prompt(self) -> str:
        """Stem of the prompts in `lalm_ambig/prompts/`: `STEM.reason.txt`, `STEM.direct.txt`, …; a class attribute
        where it is the same for all files. Items without sound have the one in `prompts.FOR_TEXTS`, if there is one."""

    @property
    @abstractmethod
    def categories(self) -> CategorySet:
        """The classes, in the corpus's own order."""

    @property
    def draws_speakers_apart(self) -> bool:
        """Whether the split is drawn here, so that no speaker of the test is in another part: not where the corpus or
        its file says who is tested, or where speakers are not looked at."""
        return self.speaker_disjoint

    @property
    def draws_splits(self) -> bool:
        """Whether the split is drawn here, by seed or fold: not where the corpus or its file gives it."""
        return True

    def redrawn(self, *, seed: int, fold: int | None) -> "Corpus":
        """The same corpus with another split, for a look at it."""
        other = copy.copy(self)
        other.seed, other.fold = seed, fold
        return other

    @abstractmethod
    def label_files(self) -> Sequence[Path]:
        """The files that labels and transcripts come from; InputError if one is missing. Their content is the
        corpus's identity: a change makes the cached check invalid."""

    def listed_folders(self) -> Sequence[Path]:
        """Folders of label files too many to read at every start: for these the name, size and time of each file
        stands for its content. They may be missing."""
        return ()

    @abstractmethod
    def read(self) -> Iterator[Item]:
        """Every item that has a vote, with its split assigned, in a fixed order; audio is named, not opened.

        Raises InputError with file and line for the first row that is malformed, unless `skip_bad_rows` (see
        `bad_rows.BadRows`).
        """

    def notes(self) -> Sequence[str]:
        """Lines for the user about what `read` met and decided (rows left out, clips not found, …)."""
        return ()

    def settings(self) -> dict[str, Any]:
        """Everything that changes what `read` yields: part of the cache key and of the run's record."""
        return {
            "corpus": self.name,
            "part": self.part,
            "seed": self.seed,
            "fold": self.fold,
            "skip_bad_rows": self.skip_bad_rows,
        }

    def require(self, path: Path) -> Path:
        """`path`, or the one error for a missing or wrong root: what was sought, where, how to obtain it."""
        if not path.exists():
            place = (
                f"{path.relative_to(self.root)} under {self.root}" if path != self.root else str(self.root)
            )
            raise InputError(f"not found: {place}.", where=f"corpus {self.name}", remedy=self.how_to_obtain)
        return path


def corpus_names() -> list[str]:
    """Names that `--corpus` takes: the modules of this package that define a corpus."""
    return [name for name in module_names(lalm_ambig.corpora) if corpus_class(name) is not None]


def corpus_class(module_name: str) -> type[Corpus] | None:
    """The corpus that a module of this package defines, if any."""
    classes = classes_in(module_of(lalm_ambig.corpora, module_name), Corpus)
    return classes[0] if classes else None


def open_corpus(name: str, root: Path | str | None, **options: Any) -> Corpus:
    """The corpus of that module name. `root` may be None only for a corpus that needs none (`demo`).

    Raises InputError for an unknown name or option, a missing root, or anything the corpus itself refuses.
    """
    cls = corpus_class(name) if name in module_names(lalm_ambig.corpora) else None
    if cls is None:
        raise InputError(f"unknown corpus {name!r}: expected one of {', '.join(corpus_names())}")
    known = inspect.signature(cls.__init__).parameters
    if wrong := sorted(set(options) - set(known)):
        raise InputError(f"unknown option {wrong[0]!r}", where=f"corpus {name}")
    if root is None:
        if known["root"].default is inspect.Parameter.empty:
            missing = "--root is missing: give the folder of the corpus."
            raise InputError(missing, where=f"corpus {name}", remedy=cls.how_to_obtain)
        return cls(**options)
    return cls(root, **options)
