"""MSP-Podcast in small, in the release's layouts and syntax, with the traps of the real files. All is invented."""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

CODES = {
    "Angry": "A",
    "Contempt": "C",
    "Disgust": "D",
    "Fear": "F",
    "Happy": "H",
    "Neutral": "N",
    "Sad": "S",
    "Surprise": "U",
}
LAYOUTS = ("txt", "csv", "json")
SECONDARY = ("Concerned,Confused", "", "Sad,Other-a; b, c", "Neutral", "Amused,Happy", "Dissapointed")
"""What follows a primary emotion: several, none, free text with a semicolon, the corpus's own spelling."""

RATINGS = ((2, 4, 3), (2, 4, 3), None, (5, 1, 7), (6, 3, 1), (7, 7, 4))
"""Arousal, valence and dominance by rater; the third rated nothing."""


@dataclass(frozen=True)
class Turn:
    """One turn as the labels have it."""

    votes: Sequence[str]
    """Primary emotions, one a rater."""
    part: str
    speaker: str

    @property
    def code(self) -> str:
        counts = Counter(CODES.get(vote, "O") for vote in self.votes).most_common(2)
        tied = len(counts) > 1 and counts[0][1] == counts[1][1]
        return "X" if tied else counts[0][0]


def _agreeing(first: str, second: str, part: str, speaker: str) -> Turn:
    return Turn((first, first, first, second, second), part, speaker)


TURNS: Mapping[str, Turn] = {
    "MSP-PODCAST_0001_0008": Turn(("Neutral", "Neutral", "Sad", "Neutral", "Happy", "Sad"), "Train", "11"),
    "MSP-PODCAST_0001_0019": _agreeing("Angry", "Contempt", "Train", "11"),
    "MSP-PODCAST_0001_0020": Turn(("Happy", "Other-Happy", "Happy", "Happy", "Happy"), "Train", "11"),
    "MSP-PODCAST_0002_0003": _agreeing("Disgust", "Angry", "Train", "11"),
    "MSP-PODCAST_0002_0004": _agreeing("Happy", "Surprise", "Train", "12"),
    "MSP-PODCAST_0002_0005": _agreeing("Neutral", "Happy", "Train", "Unknown"),
    "MSP-PODCAST_0003_0001": Turn(("Neutral",) * 5, "Development", "21"),
    "MSP-PODCAST_0003_0002": _agreeing("Fear", "Sad", "Development", "21"),
    "MSP-PODCAST_0003_0003": Turn(
        ('Other-"why, me"; ? [x]', "Sad", "Sad", "Sad", "Sad"), "Development", "21"
    ),
    "MSP-PODCAST_0004_0001": Turn(("Sad", "Neutral", "Sad", "Neutral", "Fear"), "Test1", "31"),
    "MSP-PODCAST_0004_0002": _agreeing("Surprise", "Happy", "Test1", "31"),
    "MSP-PODCAST_0004_0003": _agreeing("Contempt", "Neutral", "Test1", "32"),
    "MSP-PODCAST_0005_0001": _agreeing("Angry", "Neutral", "Test2", "31"),
    "MSP-PODCAST_0005_0002": Turn(("Calmness", "Neutral", "Neutral", "Neutral", "Neutral"), "Test2", "41"),
}
"""Name → its labels. Eleven have no vote outside the classes."""
HIDDEN = "MSP-PODCAST_0006_0001"
"""A turn of Test3: sound, and nothing in a label file."""


def write(folder: Path) -> Path:
    """All label files for the same votes, a sound file a turn, and transcripts but for one."""
    for layout in LAYOUTS:
        write_votes(folder, layout)
    write_consensus(folder)
    write_consensus(folder, name="labels_consensus.json")
    for seed, turn in enumerate([*TURNS, HIDDEN]):
        write_sound(folder / "Audios" / f"{turn}.wav", seed)
    (folder / "Audios" / "._MSP-PODCAST_0001_0008.wav").write_bytes(b"\x00")
    (folder / "Labels" / "._labels.txt").write_bytes(b"\x00\x05\x16\x07macOS")
    (folder / "Transcripts").mkdir()
    for turn in list(TURNS)[1:]:
        content = f"  These are the words\r\n of {turn[-9:]}.\r\n"
        (folder / "Transcripts" / f"{turn}.txt").write_bytes(content.encode())
    return folder


def write_votes(folder: Path, layout: str, turns: Mapping[str, Turn] = TURNS) -> Path:
    """The votes in one layout: `txt` (with the ends of lines of Windows), `csv`, `json`, or `columns`, the other
    CSV."""
    labels = folder / "Labels"
    labels.mkdir(parents=True, exist_ok=True)
    if layout == "txt":
        blocks = [
            [f"{name}.wav; {turn.code}; A:3.0; V:3.5; D:4.0;", *_lines(turn)] for name, turn in turns.items()
        ]
        text = "\n\n".join("\n".join(block) for block in blocks) + "\n"
        path = labels / "labels.txt"
        path.write_bytes(text.replace("\n", "\r\n").encode())
        return path
    if layout == "json":
        path = labels / "labels_detailed.json"
        path.write_text(
            json.dumps({f"{name}.wav": _by_worker(turn) for name, turn in turns.items()}, indent=1)
        )
        return path
    rows: list[list[Any]] = []
    for name, turn in turns.items():
        if layout == "csv":
            rows += [[f"{name}.wav", line] for line in _lines(turn)]
        else:
            rows += [[f"{name}.wav", worker, *values.values()] for worker, values in _by_worker(turn).items()]
    own = ["Workers", "EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom"]
    header = ["FileName", *(["EmoDetail"] if layout == "csv" else own)]
    return write_csv(labels / "labels_detailed.csv", header, rows)


def write_consensus(
    folder: Path, turns: Mapping[str, Turn] = TURNS, *, name: str = "labels_consensus.csv"
) -> Path:
    header = ["FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set"]
    rows = [
        [f"{t}.wav", turn.code, *(mean(scale, turn) for scale in "AVD"), turn.speaker, "Male", turn.part]
        for t, turn in turns.items()
    ]
    path = folder / "Labels" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        return write_csv(path, header, rows)
    path.write_text(json.dumps([{row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}]))
    return path


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_sound(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 3_200), 16_000)


def worker(number: int) -> str:
    return f"WORKER{number:08d}"


def rating(scale: str, number: int) -> float | None:
    """What a rater chose on a scale, A, V or D; the third chose nothing."""
    steps = RATINGS[number - 1]
    return None if steps is None else float(steps["AVD".index(scale)])


def mean(scale: str, turn: Turn) -> float:
    """The consensus file's mean of the ratings, in one decimal."""
    ratings = [rating(scale, n) for n in range(1, len(turn.votes) + 1)]
    chosen = [one for one in ratings if one is not None]
    return round(sum(chosen) / len(chosen), 1)


def _lines(turn: Turn) -> list[str]:
    """The lines of the raters; the second has no secondary field, the third no ratings."""
    lines = []
    for n, (vote, second) in enumerate(zip(turn.votes, SECONDARY, strict=False), start=1):
        fields = [
            worker(n),
            vote,
            *([second] if n != 2 else []),
            *([f"{scale}:{rating(scale, n)}" for scale in "AVD"] if n != 3 else []),
        ]
        lines.append("; ".join(fields) + ";")
    return lines


def _by_worker(turn: Turn) -> dict[str, dict[str, Any]]:
    return {
        worker(n): {
            "EmoClass_Major": vote,
            "EmoClass_Second": second,
            "EmoAct": rating("A", n),
            "EmoVal": rating("V", n),
            "EmoDom": rating("D", n),
        }
        for n, (vote, second) in enumerate(zip(turn.votes, SECONDARY, strict=False), start=1)
    }
