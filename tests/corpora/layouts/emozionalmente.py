"""Emozionalmente in small: a table with a row per vote, and sound in a folder. All is invented."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

HEADER = ["file_name", "evaluator", "audio_quality", "emotion_recognized"]
VOTES = {
    "s1_e1.wav": ["anger", "anger", "disgust", "anger", "neutrality"],
    "s1_e2.wav": ["joy", "surprise", "joy", "joy", "joy"],
    "s2_e1.wav": ["sadness", "fear", "fear", "sadness", "neutrality"],
}
"""Clip → the emotion that each of its evaluators recognised."""


def rows() -> list[list[str]]:
    """The rows evaluator by evaluator, so that those of one clip do not stand together."""
    return [
        [clip, str(10 + evaluator), "good", labels[evaluator]]
        for evaluator in range(5)
        for clip, labels in VOTES.items()
    ]


def write_votes(
    folder: Path,
    rows: Sequence[Sequence[str]],
    *,
    header: Sequence[str] = HEADER,
    end: str = "\n",
    encoding: str = "utf-8",
) -> Path:
    path = folder / "metadata" / "evaluations.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, lineterminator=end).writerows([header, *rows])
    return path


def write(folder: Path) -> Path:
    """The table, and a sound file per clip."""
    write_votes(folder, rows())
    (folder / "audio").mkdir()
    for seed, clip in enumerate(VOTES):
        soundfile.write(folder / "audio" / clip, np.random.default_rng(seed).normal(0, 0.1, 3_200), 16_000)
    return folder
