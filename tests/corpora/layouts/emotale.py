"""EmoTale in small, in its authors' layout: a table of three raters and a folder of clips. All is invented."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

HEADER = ["file", *(f"a{n}_{what}" for n in (1, 2, 3) for what in ("A", "V", "D", "cat")), "gt_emotion"]
SCALE = ("1.0", "2.5", "3.0", "4.5", "5.0", "1.5", "3.5")
CODES = "ABHNS"
LABELS = {
    "EN_001_A_1": "AAA",
    "EN_001_B_2": "BBB",
    "EN_001_H_3": "HNA",
    "EN_004_N_1": "NBN",
    "EN_004_S_5": "SBB",
    "EN_017_S_2": "SSN",
    "DK_001_H_1": "HHS",
    "DK_002_B_4": "BNB",
}
"""Clip → the emotion that each rater chose."""


def row(clip: str, labels: str, n: int) -> list[str]:
    """A row of the table; the three scales depend on rater and row."""
    cells = [f"{clip}.wav"]
    for rater, label in enumerate(labels):
        cells += [*(SCALE[(n + rater + scale) % len(SCALE)] for scale in range(3)), label]
    return [*cells, clip.split("_")[2]]


def rows() -> list[list[str]]:
    return [row(clip, labels, n) for n, (clip, labels) in enumerate(LABELS.items())]


def write_table(
    folder: Path,
    rows: Sequence[Sequence[str]],
    *,
    header: Sequence[str] = HEADER,
    end: str = "\n",
    encoding: str = "utf-8",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "annotations.csv"
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, lineterminator=end).writerows([header, *rows])
    return path


def write(folder: Path) -> Path:
    """The table, and a sound file per clip."""
    write_table(folder, rows())
    (folder / "wav").mkdir()
    for seed, clip in enumerate(LABELS):
        sound = np.random.default_rng(seed).normal(0, 0.1, 3_200)
        soundfile.write(folder / "wav" / f"{clip}.wav", sound, 16_000)
    return folder
