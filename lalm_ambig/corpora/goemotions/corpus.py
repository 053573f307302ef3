"""GoEmotions: comments from Reddit, each labelled by several raters with any of 27 emotions or neutral.

Read as distributed: the rater rows, in any number of CSV files or as the hub's dataset with its configuration `raw`
(see `corpora/goemotions/files.py`). The steps are those of SHALA-LLM, Appendices B.3 and C.1.3:

1. Labels are grouped into seven classes (SHALA-LLM, Table 4). A rater counts once per class, whatever number of its
   labels the rater gave, and in as many classes as the labels fall into.
2. A rater without a label (the comment was very unclear) has no vote. Comments that fewer than `min_raters` raters
   gave a label are left out.
3. For each majority class at most `per_class` comments are drawn. Of classes with equal votes the first is the
   majority, which is our choice. The paper says "approximately equal numbers" and not how its 6,567 comments were
   drawn: its Tables 7 and 10 serve for comparison, and cannot be met exactly.
4. The comments are split 70/15/15. The paper shuffles; here two ids with the same text are in one split, too.

The corpus as released has 58,009 comments in 211,225 rows before these steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import SHALA_METRICS, Corpus, TableColumns
from lalm_ambig.corpora.goemotions.all_raters import is_chosen
from lalm_ambig.corpora.goemotions.files import CSV_PATTERN, HOW_TO_OBTAIN, find_files, read_rows
from lalm_ambig.corpora.goemotions.rows import CATEGORIES
from lalm_ambig.corpora.goemotions.texts import GatheredComments, draw, gather
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.splits import split_by_group

SHARES = {"validation": 0.15, "test": 0.15}
MIN_RATERS = 3
PER_CLASS = 1000
CHOSEN_NOTE = "the comments were chosen for their disagreement: no random sample"


@dataclass(kw_only=True, eq=False)
class GoEmotions(Corpus):
    """The comments that enough raters gave a label, drawn evenly over the majority classes.

    Args:
        root: The folder with the files `goemotions_*.csv`, also those in `data/full_dataset` below it. Or a copy of
            the hub's dataset, one that `datasets` has saved, or a single file of these. Or a file with all raters of a
            comment in one row (`all_raters`), or a folder of such files of one kind.
        seed: Seed of the draw and of the split.
        fold: None for 70/15/15, or 0 to 4 for one of five folds.
        min_raters: Raters with a label that a comment must have, at least 1.
        per_class: The most comments of one majority class; None keeps them all.

    Raises:
        InputError: `min_raters` or `per_class` is not a whole number of at least 1.
    """

    min_raters: int = MIN_RATERS
    per_class: int | None = PER_CLASS

    name = "goemotions"
    how_to_obtain = HOW_TO_OBTAIN
    prompt = "text_emotion"
    table_metrics = TableColumns(SHALA_METRICS)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("min_raters", self.min_raters)
        if self.per_class is not None:
            check_count("per_class", self.per_class)

    @property
    def categories(self) -> CategorySet:
        return CATEGORIES

    def label_files(self) -> Sequence[Path]:
        files = find_files(self.require(self.root))
        return files or [self.require(self.root / CSV_PATTERN)]

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "min_raters": self.min_raters, "per_class": self.per_class}

    def read(self) -> Iterator[Item]:
        """Yield the comments with at least `min_raters` raters, at most `per_class` of a class.

        Raises:
            InputError: There is no such comment, or a row is malformed and `skip_bad_rows` is off.
        """
        bad_rows = BadRows(skip=self.skip_bad_rows)
        files = self.label_files()
        gathered = gather(read_rows(files, bad_rows=bad_rows), bad_rows=bad_rows)
        enough = {name: one for name, one in gathered.comments.items() if one.raters >= self.min_raters}
        if not enough:
            raise self._too_few(gathered, files, bad_rows)
        items = [Item(name, one.votes, text=one.text) for name, one in enough.items()]
        drawn = items if self.per_class is None else draw(items, per_class=self.per_class, seed=self.seed)
        splits = split_by_group(
            (enough[item.id].text for item in drawn), seed=self.seed, fold=self.fold, shares=SHARES
        )
        self._notes = (
            f"{len(gathered.comments):,} comments in {gathered.rows:,} rows of {_files(files)}",
            *gathered.notes(),
            *([CHOSEN_NOTE] if any(map(is_chosen, files)) else []),
            *self._left_out(gathered, enough=len(enough), drawn=len(drawn)),
            *bad_rows.notes(good=gathered.rows),
        )
        for item in drawn:
            ratings = enough[item.id].ratings
            yield replace(
                item,
                split=splits[enough[item.id].text],
                annotators=tuple(name for name, _ in ratings),
                annotations=tuple(place for _, place in ratings),
            )

    def _left_out(self, gathered: GatheredComments, *, enough: int, drawn: int) -> Iterator[str]:
        few = len(gathered.comments) - enough
        if few:
            yield f"{few:,} comments left out: the raters with a label are fewer than min_raters ({self.min_raters})"
        if drawn < enough:
            yield f"{drawn:,} of {enough:,} drawn: at most {self.per_class:,} of a class (option per_class)"

    def _too_few(self, gathered: GatheredComments, files: Sequence[Path], bad_rows: BadRows) -> InputError:
        lost = (
            f"; {len(bad_rows.lines):,} bad rows left out, the first: {bad_rows.lines[0]}"
            if bad_rows.lines
            else ""
        )
        wrong = (
            f"no comment has {self.min_raters} raters with a label: {gathered.most_raters} is the most, in "
            f"{gathered.rows:,} rows of {_files(files)}{lost}."
        )
        remedy = "Give all files of the corpus, or ask for fewer raters by the option min_raters."
        return InputError(wrong, where=f"corpus {self.name}", remedy=remedy)


def check_count(option: str, value: object) -> None:
    """Check an option.

    Raises:
        InputError: The value is not a whole number of at least 1; True is not one.
    """
    if type(value) is not int or value < 1:
        wrong = f"{option} must be a whole number of at least 1, got {value!r}"
        raise InputError(wrong, where=f"corpus {GoEmotions.name}")


def _files(files: Sequence[Path]) -> str:
    """Name of the first file, and how many there are."""
    return files[0].name if len(files) == 1 else f"{len(files)} files ({files[0].name}, …)"
