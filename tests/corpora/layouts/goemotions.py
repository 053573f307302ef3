"""GoEmotions in small, in the release's columns and spelling, with the traps of the real rows. All is invented."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

LABELS = [
    *(
        "admiration",
        "amusement",
        "anger",
        "annoyance",
        "approval",
        "caring",
        "confusion",
        "curiosity",
        "desire",
    ),
    *(
        "disappointment",
        "disapproval",
        "disgust",
        "embarrassment",
        "excitement",
        "fear",
        "gratitude",
        "grief",
        "joy",
    ),
    *(
        "love",
        "nervousness",
        "optimism",
        "pride",
        "realization",
        "relief",
        "remorse",
        "sadness",
        "surprise",
        "neutral",
    ),
]
"""The columns of labels in the release's order, which is not that of the classes."""
HEADER = [
    *("text", "id", "author", "subreddit", "link_id", "parent_id", "created_utc", "rater_id"),
    *("example_very_unclear", *LABELS),
]
UNCLEAR = "?"
"""In place of labels: the rater marked the comment as very unclear."""
COMMENTS: Mapping[str, tuple[str, Sequence[str]]] = {
    "c00": ("That game hurt", ["sadness", "sadness disappointment", "annoyance"]),
    "c01": (' >quoted\nThey said "never", and then, well…', ["anger", "disapproval anger", "disgust"]),
    "c02": ("[NAME] made my day 🎉", ["joy love", "joy", "joy surprise", "admiration", "neutral"]),
    "c03": ("Who knows?", ["curiosity", UNCLEAR, "confusion curiosity", "neutral"]),
    "c04": ("lol", ["amusement", UNCLEAR, UNCLEAR]),
    "c05": ("Same here", ["approval", "neutral", "neutral"]),
    "c06": ("Same here", ["neutral", "approval", "caring"]),
    "c07": ("Don't look behind you", ["fear", "nervousness fear", "fear"]),
    "c08": ("Eww.", ["disgust", "disgust", "disgust"]),
    "c09": ("The shop opens at ten", ["neutral", "neutral", "neutral"]),
}
"""Id → text and the labels of each of its raters."""


def row(name: str, text: str, *, rater: object, labels: str) -> dict[str, object]:
    """One row as the release spells it."""
    given = labels.split()
    about = {"text": text, "id": name, "author": "someone", "subreddit": "made_up", "link_id": "t3_x"}
    marks = {"parent_id": "t1_y", "created_utc": "1548381039.0", "rater_id": rater}
    values = {label: int(label in given) for label in LABELS}
    return {**about, **marks, "example_very_unclear": labels == UNCLEAR, **values}


def rows(comments: Mapping[str, tuple[str, Sequence[str]]] = COMMENTS) -> list[dict[str, object]]:
    """All rows, rater by rater, so that those of one comment do not stand together."""
    most = max(len(labels) for _, labels in comments.values())
    return [
        row(name, text, rater=10 * turn + n % 7, labels=labels[turn])
        for turn in range(most)
        for n, (name, (text, labels)) in enumerate(comments.items())
        if turn < len(labels)
    ]


def write_csv(path: Path, rows: Iterable[Mapping[str, object]], *, header: Sequence[str] = HEADER) -> Path:
    """A file of rows, with the ends of lines of the release (those of Windows)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\r\n")
        lines.writerow(header)
        lines.writerows([values[name] for name in header] for values in rows)
    return path


def write(folder: Path) -> Path:
    """Ten comments in two files, nine of which have three raters with a label or more."""
    everything = rows()
    for number, part in enumerate((everything[:13], everything[13:]), start=1):
        write_csv(folder / f"goemotions_{number}.csv", part)
    return folder
