"""A corpus whose files are on another machine: what an export says of the corpus that its weights were trained on."""

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.class_names import UNKNOWN
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import Corpus, TableColumns, corpus_class

INHERITED = (
    "ids_are_global",
    "licensed",
    "clusters",
    "total_items",
    "how_to_obtain",
    "usual_target",
)
"""Facts of the corpus's class, where this installation has it."""


class Elsewhere(Corpus):
    """The name, classes and prompt of a corpus. It has no items.

    Args:
        root: Name of the corpus's file, where it was one; `elsewhere` otherwise.
        corpus: Name of the corpus, as `--corpus` takes it.
        classes: Names of the classes, in order.
        verbalisers: Text of each class after the answer tag; by default a space and the name.
        prompt_names: Word for each class in prompts; by default the name.
        domain: The kind of thing that is classified.
        ordered: Whether the classes are the steps of a scale.
        stem: Stem of the corpus's prompts.
        part: The part that was trained on.
        target: What was judged, or by which panel; by default what is usual for the corpus.
        seed: Seed of the split.
        fold: The fold, if any.
        options: Settings with which the corpus was opened, apart from its root.
    """

    name = "elsewhere"
    how_to_obtain = "Give the corpus with --corpus NAME --root FOLDER."

    def __init__(  # noqa: PLR0913  # what is known of a corpus
        self,
        root: Path = Path("elsewhere"),
        *,
        corpus: str,
        classes: list[str],
        verbalisers: list[str] | None = None,
        prompt_names: list[str] | None = None,
        domain: str = UNKNOWN,
        ordered: bool = False,
        stem: str,
        part: str | None = None,
        target: str | None = None,
        seed: int = 0,
        fold: int | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(root, seed=seed, fold=fold)
        self.part, self._target = part, target
        self.original_settings = options or {}
        self._classes = CategorySet(
            tuple(classes), tuple(verbalisers or ()), tuple(prompt_names or ()), domain, ordered
        )
        self._stem = stem
        cls = corpus_class(corpus)
        facts = {fact: getattr(cls, fact) for fact in INHERITED if cls is not None}
        columns = inspect.getattr_static(cls or Corpus, "table_metrics")
        facts["table_metrics"] = (
            columns.__get__(self, Corpus) if isinstance(columns, TableColumns) else columns
        )
        vars(self).update(facts, name=corpus, original_settings=options or {})

    @property
    def prompt(self) -> str:
        return self._stem

    @property
    def target_name(self) -> str:
        return self._target or self.usual_target

    @property
    def categories(self) -> CategorySet:
        return self._classes

    def label_files(self) -> Sequence[Path]:
        """Refuse, since there are none.

        Raises:
            InputError: Always.
        """
        raise InputError(
            f"an export has no items of {self.name}.",
            where="--run",
            remedy=f"Name them: --corpus {self.name} --root FOLDER.",
        )

    def read(self) -> Iterator[Item]:
        """Refuse, since there are no items.

        Raises:
            InputError: Always.
        """
        self.label_files()
        yield from ()
