"""Dusha in small: a file of votes per part, as JSON Lines or with tabs, and sound beside it. All is invented."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

HEADER = (
    "hash_id",
    "audio_path",
    "duration",
    "annotator_emo",
    "golden_emo",
    "speaker_text",
    "speaker_emo",
    "source_id",
    "annotator_id",
)
Row = dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """One clip as the labels have it."""

    id: str
    votes: tuple[str, ...]
    speaker: str | None
    text: str | None = "Включи свет"
    golden: str | None = None

    def rows(self) -> list[Row]:
        """A row per vote, with every column that the files have."""
        return [
            {
                "hash_id": self.id,
                "audio_path": f"wavs/{self.id}.wav",
                "duration": 0.2,
                "annotator_emo": vote,
                "golden_emo": self.golden,
                "speaker_text": self.text,
                "speaker_emo": "positive",
                "source_id": self.speaker,
                "annotator_id": f"a{n}",
            }
            for n, vote in enumerate(self.votes)
        ]


TRAIN = (
    Clip("c1", ("angry", "angry", "sad", "angry", "neutral"), "s1"),
    Clip("c2", ("neutral", "positive", "positive"), "s1"),
    Clip("c3", ("sad", "sad", "sad"), "s2", text=None),
    Clip("c4", ("sad", "other", "neutral"), "s2"),
    Clip("c5", ("positive", "positive", "neutral"), "s3"),
    Clip("c6", ("neutral", "neutral", "neutral"), None),
    Clip("g1", ("angry", "angry"), "s3", golden="angry"),
    Clip("c7", ("other", "other"), "s3"),
)
TEST = (
    Clip("t1", ("angry", "neutral", "angry"), "s8"),
    Clip("t2", ("sad", "positive", "sad"), "s1"),
    Clip("g1", ("angry", "sad"), "s3", golden="angry"),
)
PARTS: Mapping[str, tuple[Clip, ...]] = {"crowd_train": TRAIN, "crowd_test": TEST}


def rows(part: str = "crowd_train") -> list[Row]:
    """The rows annotator by annotator, so that those of one clip do not stand together."""
    by_clip = [clip.rows() for clip in PARTS[part]]
    return [votes[n] for n in range(max(map(len, by_clip))) for votes in by_clip if n < len(votes)]


def write_rows(folder: Path, part: str, rows: Iterable[Row], *, ending: str = "jsonl") -> Path:
    path = folder / part / f"raw_{part}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if ending == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    else:
        cells = [["" if row[name] is None else str(row[name]) for name in HEADER] for row in rows]
        lines = ["\t".join(line) for line in (HEADER, *cells)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_sound(folder: Path, part: str) -> None:
    """A sound file for each clip of a part, control tasks as well."""
    (folder / part / "wavs").mkdir(parents=True, exist_ok=True)
    for seed, clip in enumerate(PARTS[part]):
        sound = np.random.default_rng([seed, len(part)]).normal(0, 0.1, 3_200)
        soundfile.write(folder / part / "wavs" / f"{clip.id}.wav", sound, 16_000)


def write(folder: Path) -> Path:
    """The two parts of the crowd, and leftovers of macOS."""
    for part in PARTS:
        write_rows(folder, part, rows(part))
        write_sound(folder, part)
    (folder / "crowd_train" / "wavs" / "._c1.wav").write_bytes(b"\x00")
    return folder


def write_podcasts(folder: Path) -> None:
    """The labels of podcasts, whose sound is not distributed; their sources have the names of the crowd's speakers."""
    for kind, clips in (("train", TRAIN), ("test", TEST)):
        part = f"podcast_{kind}"
        made = [replace(clip, id=f"p{clip.id}") for clip in clips]
        write_rows(folder, part, [row for clip in made for row in clip.rows()])
