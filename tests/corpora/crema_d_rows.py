"""A CREMA-D of four clips: its rows of votes, and what writes them and a clip."""

import csv
from pathlib import Path

import numpy as np
import soundfile

VOTES_HEADER = ["", "A", "D", "F", "H", "N", "S", "fileName", "numResponses"]
VOTES_ROWS = [
    ["100001", 0, 0, 0, 1, 10, 0, "1001_IEO_NEU_XX", 11],
    ["100002", 5, 3, 0, 0, 1, 0, "1002_DFA_ANG_XX", 9],
    ["100003", 0, 0, 2, 0, 5, 3, "1040_ITH_SAD_XX", 10],
    ["100004", 0, 1, 0, 0, 3, 6, "1091_WSI_SAD_XX", 10],
    ["200001", 0, 0, 0, 11, 0, 0, "1001_IEO_NEU_XX", 11],
    ["300001", 0, 0, 0, 0, 0, 7, "1001_IEO_NEU_XX", 7],
]


def write_clip(path: Path, *, seconds: float = 0.2, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, int(16_000 * seconds)), 16_000)


def write_votes(root: Path, rows: list[list[object]], header: list[str] = VOTES_HEADER) -> Path:
    path = root / "processedResults" / "tabulatedVotes.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path
