"""ChaosNLI in small, as the archive unpacks: a folder with a file of each part. The sentences are invented."""

import json
from pathlib import Path
from typing import Any

FILES = {"snli": "chaosNLI_snli.jsonl", "mnli": "chaosNLI_mnli_m.jsonl"}
COUNTERS = (
    {"n": 70, "e": 30},
    {"c": 14, "n": 36, "e": 50},
    {"e": 100},
    {"c": 50, "n": 50},
    {"n": 3, "c": 97},
)
"""Votes of the pairs, over and over: two to three letters in no fixed order, one alone, a tie."""
PAIRS = 20
"""Pairs in each part."""


def row(uid: str, counter: dict[str, Any]) -> dict[str, Any]:
    """A row with every key that the real files have."""
    counts = [counter.get(letter, 0) for letter in "enc"]
    example = {
        "uid": uid,
        "premise": f"Someone reads page {uid}. ",
        "hypothesis": "Someone reads.",
        "source": "s",
    }
    return {
        "uid": uid,
        "label_counter": counter,
        "majority_label": max(counter, key=lambda letter: counter[letter]),
        "label_dist": [count / 100 for count in counts],
        "label_count": counts,
        "entropy": 0.5,
        "example": example,
        "old_label": "n",
        "old_labels": ["neutral"],
    }


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [content if isinstance(content, str) else json.dumps(content) for content in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


GOOD = row("g", {"n": 67, "c": 29, "e": 4})


def part_of(root: Path, *rows: Any) -> Path:
    """A root with these rows as its part of SNLI."""
    write_rows(root / FILES["snli"], list(rows))
    return root


def write(folder: Path) -> Path:
    """Both parts under the folder that the archive unpacks to."""
    for part, name in FILES.items():
        rows = [row(f"{part}{n}", COUNTERS[n % len(COUNTERS)]) for n in range(PAIRS)]
        write_rows(folder / "chaosNLI_v1.0" / name, rows)
    return folder
