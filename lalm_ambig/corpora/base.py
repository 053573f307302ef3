"""A corpus: its files, its classes, its votes and its split.

To add one, write `corpora/NAME.py`, or a room `corpora/NAME/`, with one subclass of `Corpus`. `open_corpus(NAME, root)`
and the option `--corpus NAME` find it by the name of the module.
"""

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar

import lalm_ambig.corpora
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.discovery import classes_in, module_names, module_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import FOLDS, Item
from lalm_ambig.core.rationale_parts import heard_part
from lalm_ambig.corpora.reading.hub_address import hub_address
from lalm_ambig.help.names import not_one_of

LALM_METRICS = ("js_div_bits", "bc", "r2_pearson_item", "brier_mean", "accuracy")
"""The columns of ambiguity-aware LALM, Table 2, and accuracy."""
SHALA_METRICS = ("js_dist_bits", "bc", "accuracy", "f1_macro", "f1_weighted")
"""The columns of SHALA-LLM, Tables 1 and 2."""
SCALE_METRICS = ("wasserstein", "rps", "mae_mean", "js_div_bits", "accuracy")
"""The columns of tables of a target with ordered classes."""


class TableColumns:
    """The metrics in a corpus's tables: its paper's, or those of a scale where its classes are ordered.

    Args:
        usual: Names of the metrics where classes have no order; also what the class itself has.
        ordered: Names of the metrics of a scale.
    """

    def __init__(self, usual: tuple[str, ...], ordered: tuple[str, ...] = SCALE_METRICS) -> None:
        self.usual, self.ordered = usual, ordered

    def __get__(self, corpus: "Corpus | None", cls: type["Corpus"]) -> tuple[str, ...]:
        return self.ordered if corpus is not None and corpus.categories.ordered else self.usual


@dataclass(eq=False)
class Corpus(ABC):
    """A corpus on disk, read as it is distributed.

    The fields are the corpus's settings, and so the keys under `data.corpus` in a configuration. A subclass with
    settings of its own is a dataclass (`kw_only=True, eq=False`) that adds fields. It describes them under `Args:`,
    and the fields below only where they mean something special.

    Args:
        root: Folder of the corpus as distributed (a file, for JSON Lines), or `hf://owner/name` for one on the hub.
        part: One of the corpus's parts, to read only that; None for all, and where a corpus has no parts.
        seed: Seed of the split; the same seed gives the same split on every machine.
        fold: None for the single seeded split, or 0 to 4 for one of five folds.
        skip_bad_rows: Leave malformed rows out, counted and listed, instead of stopping at the first.

    Raises:
        InputError: The corpus has no such part, or `fold` is not in 0 to 4.
    """

    root: Path
    _: KW_ONLY
    part: str | None = None
    seed: int = 0
    fold: int | None = None
    skip_bad_rows: bool = False

    name: ClassVar[str]
    """Name of the module, as `--corpus` takes it."""
    how_to_obtain: ClassVar[str]
    """One sentence for the error of a missing root: where the corpus comes from, and its licence."""
    licensed: ClassVar[bool] = False
    """True where the licence forbids passing items on. Curation then asks before it uploads any."""
    parts: ClassVar[tuple[str, ...]] = ()
    """Values of `part`; empty for a corpus without parts."""
    table_metrics = TableColumns(LALM_METRICS)
    """Names of the metrics in tables and break-downs: the columns of the paper that has this corpus."""
    usual_target: ClassVar[str] = ""
    """The `target_name` that tables need not name."""
    total_items: ClassVar[int | None] = None
    """Items of the corpus as distributed, to say how many a subset has; None where that is open."""
    speaker_disjoint_validation: ClassVar[bool] = True
    """False where train and validation share speakers. Speakers of the test are in no other split either way."""
    ids_are_global: ClassVar[bool] = True
    """False where another root may hold other items under the same ids."""

    original_settings: ClassVar[dict[str, Any] | None] = None
    """Settings of the corpus that this object stands for (`reading.elsewhere`); None for a corpus itself."""

    clusters: ClassVar[str] = "speakers"
    """What is independent of each other, in the plural: intervals are over these (`cluster_of`)."""

    @classmethod
    def cluster_of(cls, speaker: str) -> str:
        """The group of a speaker that is independent of the others: by default, the speaker alone."""
        return speaker

    def __post_init__(self) -> None:
        self.address, self.root = located(self.root)
        self._notes: tuple[str, ...] = ()
        if self.part is not None and self.part not in self.parts:
            expected = f"one of {', '.join(self.parts)}" if self.parts else "none, it has no parts"
            raise InputError(f"unknown part {self.part!r}: expected {expected}", where=f"corpus {self.name}")
        if self.fold is not None and self.fold not in range(FOLDS):
            raise InputError(f"fold must be 0 to {FOLDS - 1}, got {self.fold}", where=f"corpus {self.name}")

    @classmethod
    def parsed_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as the constructor takes them, from plain values of a command line or a file.

        Args:
            options: Values by name of the setting.

        Raises:
            InputError: A value cannot be read.
        """
        return dict(options)

    @property
    @abstractmethod
    def prompt(self) -> str:
        """Stem of the prompts in `lalm_ambig/prompts/`: `STEM.reason.txt`, `STEM.direct.txt` and so on.

        A class attribute where it is the same for all files. Items without sound use the stem in `prompts.FOR_TEXTS`,
        if there is one.
        """

    @property
    @abstractmethod
    def categories(self) -> CategorySet:
        """The classes, in the corpus's own order."""

    @property
    def speaker_disjoint(self) -> bool:
        """False where the split ignores speakers: one speaker may then be in every split."""
        return True

    @property
    def draws_speakers_apart(self) -> bool:
        """True where this program draws the split by speaker, so that no test speaker is in another split.

        False where the corpus or its file gives the split, or where the draw ignores speakers.
        """
        return self.speaker_disjoint

    @property
    def draws_splits(self) -> bool:
        """True where this program draws the split, by seed or fold; False where the corpus or its file gives it."""
        return True

    @property
    def no_items_remedy(self) -> str:
        """What helps where the corpus gives its splits and one that is needed is empty; without a full stop."""
        return "Take the whole corpus"

    @property
    def target_name(self) -> str:
        """What was judged, or by which panel, where a setting chooses; empty where there is no choice.

        Items of two targets have the same ids and other votes. Tables name a target that is not `usual_target`.
        """
        return self.usual_target

    @property
    def part_or_target(self) -> str | None:
        """The part and the target, as tables name them; None for all parts and the usual target."""
        target = "" if self.target_name == self.usual_target else self.target_name
        return ", ".join(filter(None, (self.part, target))) or None

    @property
    def full_name(self) -> str:
        """The name, with part and target in brackets where they are chosen: `lewidi (csc)`, `crema_d (face)`."""
        return self.name if self.part_or_target is None else f"{self.name} ({self.part_or_target})"

    def redrawn(self, *, seed: int, fold: int | None) -> "Corpus":
        """A copy of the corpus with the split of another seed or fold."""
        other = copy.copy(self)
        other.seed, other.fold = seed, fold
        return other

    @abstractmethod
    def label_files(self) -> Sequence[Path]:
        """The files that hold labels and transcripts.

        Their content is the corpus's identity: a change makes the cached check invalid.

        Raises:
            InputError: A file is missing.
        """

    def listed_folders(self) -> Sequence[Path]:
        """Folders with too many label files to read at every start; they may be missing.

        Name, size and time of each file then count as its content.
        """
        return ()

    @abstractmethod
    def read(self) -> Iterator[Item]:
        """Yield every item that has a vote, with its split, in a fixed order. Sound files are named, not opened.

        Raises:
            InputError: A row is malformed and `skip_bad_rows` is off; names file and line (`bad_rows.BadRows`).
        """

    def notes(self) -> Sequence[str]:
        """Lines for the user about the last `read`: rows left out, clips without a file and so on."""
        return self._notes

    def annotator_profiles(self) -> Mapping[str, str]:
        """What the corpus says of each annotator, as prompts take it: name → `Age: 26; Gender: Male`.

        Empty where it says nothing. An annotator of whom nothing is known need not be in it.

        Raises:
            InputError: A file is malformed.
        """
        return {}

    def heard_part(self, rationale: str, categories: Sequence[str] | None = None) -> str | None:
        """What a rationale says is heard, without what follows from it; None if the two cannot be told apart.

        By default these are the sections of `data_curation`. A corpus with rationales of another form overrides this.

        Args:
            rationale: Of an item.
            categories: The classes that it argues for; by default the corpus's.
        """
        return heard_part(rationale, categories or self.categories.names)

    def settings(self) -> dict[str, Any]:
        """Every setting that changes what `read` yields: part of the cache key and of the run's record."""
        settings = {
            "corpus": self.name,
            "part": self.part,
            "seed": self.seed,
            "fold": self.fold,
            "skip_bad_rows": self.skip_bad_rows,
        }
        return settings if self.address is None else {**settings, "hub": self.address}

    def require(self, path: Path) -> Path:
        """Return `path` if it exists.

        Raises:
            InputError: There is no such path; names it and says how to obtain the corpus.
        """
        if not path.exists():
            place = (
                f"{path.relative_to(self.root)} under {self.root}" if path != self.root else str(self.root)
            )
            raise InputError(f"not found: {place}.", where=f"corpus {self.name}", remedy=self.how_to_obtain)
        return path


def located(root: Path | str) -> tuple[str | None, Path]:
    """Where a corpus is: its address on the hub with the commit, and its place on this machine.

    Args:
        root: A folder, a file, or `hf://owner/name[@revision][/path]`, which is fetched if need be.

    Returns:
        The address, None for a root that is none; and the absolute path.

    Raises:
        InputError: The address is none, or what it names cannot be had.
    """
    address = hub_address(root)
    if address is None:
        return None, Path(root).expanduser().absolute()
    from lalm_ambig.corpora.reading.hub import fetched, resolved  # not above: it takes half a second

    return str(resolved(address)), fetched(address)


def corpus_names() -> list[str]:
    """Names that `--corpus` takes: the modules of this package that define a corpus."""
    return [name for name in module_names(lalm_ambig.corpora) if corpus_class(name) is not None]


def corpus_class(module_name: str) -> type[Corpus] | None:
    """The corpus class of one module of this package; None where it defines none, or there is no such module."""
    if module_name not in module_names(lalm_ambig.corpora):
        return None
    classes = classes_in(module_of(lalm_ambig.corpora, module_name), Corpus)
    return classes[0] if classes else None


def named_part(cls: type[Corpus] | None, part_or_target: str | None) -> str | None:
    """The part in what tables name (`Corpus.part_or_target`), without the target; None for all parts.

    Args:
        cls: The corpus; None where this installation has none of that name, whose words then stay as they are.
        part_or_target: As results have it.
    """
    if cls is None or part_or_target is None:
        return part_or_target
    first = part_or_target.partition(", ")[0]
    return first if first in cls.parts else None


def open_corpus(name: str, root: Path | str | None, **options: Any) -> Corpus:
    """Construct the corpus of a module.

    Args:
        name: Name of the module, as in `corpus_names`.
        root: Folder or file of the corpus; None only for one that needs none (`demo`).
        options: The corpus's other settings.

    Raises:
        InputError: The name or an option is unknown, the root is missing, or the corpus refuses a setting.
    """
    cls = corpus_class(name) if name in module_names(lalm_ambig.corpora) else None
    if cls is None:
        raise InputError(f"unknown corpus {not_one_of(name, corpus_names())}")
    parameters = inspect.signature(cls).parameters
    if wrong := sorted(set(options) - set(parameters)):
        raise InputError(f"unknown option {wrong[0]!r}", where=f"corpus {name}")
    options = cls.parsed_options(options)
    if root is None:
        if parameters["root"].default is inspect.Parameter.empty:
            missing = "--root is missing: give the folder of the corpus."
            raise InputError(missing, where=f"corpus {name}", remedy=cls.how_to_obtain)
        return cls(**options)
    return cls(Path(root), **options)
