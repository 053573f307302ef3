"""Comments of GoEmotions: rater rows gathered by comment, votes counted, items drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.goemotions.rows import CATEGORIES, RaterRow
from lalm_ambig.corpora.reading.bad_rows import BadRows
from lalm_ambig.corpora.reading.splits import seeded_order
from lalm_ambig.files.json_lines import short_repr


@dataclass(slots=True)
class Comment:
    """One comment and the classes that each of its raters chose."""

    where: str
    """File and line of its first row."""
    text: str
    classes: dict[str, int] = field(default_factory=dict)
    """Rater → the classes as bits, see `RaterRow.classes`; 0 for a rater without a label."""

    @property
    def raters(self) -> int:
        """Raters who gave a label."""
        return sum(classes > 0 for classes in self.classes.values())

    @property
    def votes(self) -> tuple[float, ...]:
        """Raters per class who gave a label of it; one rater may count in several classes."""
        bits = (1 << position for position in range(len(CATEGORIES)))
        return tuple(float(sum(bool(classes & bit) for classes in self.classes.values())) for bit in bits)

    @property
    def ratings(self) -> tuple[tuple[str, int], ...]:
        """Pairs of rater and position of a class that the rater chose; several for a rater with several classes."""
        places = range(len(CATEGORIES))
        return tuple(
            (name, at) for name, classes in self.classes.items() for at in places if classes >> at & 1
        )


@dataclass
class GatheredComments:
    """All comments, in the order of their first rows, and counts for the user."""

    comments: dict[str, Comment] = field(default_factory=dict)
    """By id."""
    rows: int = 0
    unlabelled: int = 0
    """Rows of raters who gave no label."""
    repeated: int = 0
    """Rows of a rater who had judged the same comment before."""

    @property
    def most_raters(self) -> int:
        """The most raters with a label that any comment has."""
        return max((comment.raters for comment in self.comments.values()), default=0)

    def notes(self) -> list[str]:
        """Lines for the user, without those that count nothing."""
        counted = [
            (self.unlabelled, "rows without a label (very unclear to their rater): no vote"),
            (self.repeated, "rows repeat a rater and a comment: their labels are united, each counts once"),
        ]
        return [f"{count:,} {what}" for count, what in counted if count]


def gather(rows: Iterable[RaterRow], *, bad_rows: BadRows) -> GatheredComments:
    """Gather rater rows by comment.

    Rows of one rater and one comment are united: a rater has one vote per class, so a file that is read twice changes
    nothing.

    Args:
        rows: In any order.
        bad_rows: Collects rows whose text differs from the first row of the same id.

    Returns:
        The comments, in the order of their first rows.
    """
    gathered = GatheredComments()
    for row in rows:
        comment = gathered.comments.get(row.id)
        if comment is None:
            comment = gathered.comments[row.id] = Comment(row.where, row.text)
        if comment.text != row.text:
            wrong = f"the text of id {short_repr(row.id)} is not the one it has in {comment.where}"
            bad_rows.add(wrong, where=row.where)
            continue
        gathered.rows += 1
        gathered.unlabelled += row.classes == 0
        gathered.repeated += row.rater in comment.classes
        comment.classes[row.rater] = comment.classes.get(row.rater, 0) | row.classes
    return gathered


def draw(items: Sequence[Item], *, per_class: int, seed: int) -> list[Item]:
    """Draw at most `per_class` items of each majority class by seed and id; returns them in the order of `items`."""
    ids: dict[int, list[str]] = {}
    for item in items:
        ids.setdefault(item.majority, []).append(item.id)
    drawn: set[str] = set()
    for position, names in ids.items():
        purpose = f"draw of {CATEGORIES.names[position]}"
        drawn.update(seeded_order(names, seed=seed, purpose=purpose)[:per_class])
    return [item for item in items if item.id in drawn]
