"""Writes the demo corpus: clips, votes and rationales in CREMA-D's own layout."""

import csv
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track

from lalm_ambig.audio.reading import RATE_HZ
from lalm_ambig.corpora.crema_d.votes import (
    ACTORS,
    AUDIO_FOLDER,
    CATEGORIES,
    CLIP_COLUMN,
    SENTENCES,
    VOTE_COLUMNS,
    VOTES_FILE,
)
from lalm_ambig.corpora.demo.perception import Performance, perform
from lalm_ambig.corpora.demo.rationale import explain
from lalm_ambig.corpora.demo.voice import draw_speaker, speak, syllables_of
from lalm_ambig.files.atomic import new_folder, replacing
from lalm_ambig.files.json_lines import write_rows

RATIONALES_FILE = "rationales.jsonl"
ACTED = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
"""The emotions' codes in clip names, in the order of CATEGORIES."""
RATED = ("Emo", "Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad")
MEANS = tuple(f"mean{emotion}Resp" for emotion in RATED)
HEADER = (
    *("", *VOTE_COLUMNS, CLIP_COLUMN, "numResponses", "agreement", "emoVote"),
    *(*MEANS, "medianEmoResp"),
    *(*(f"{mean}Norm" for mean in MEANS), "medianEmoRespNorm"),
)
"""The columns of CREMA-D's votes file. Those on intensity hold NO_RATING, as none is simulated."""
NO_RATING = "-1"


@dataclass(frozen=True)
class DemoSettings:
    """Size and seed of the demo."""

    actors: int = 40
    clips_per_actor: int = 21
    seed: int = 0
    panel: str = "home"
    """Who votes: one of `perception.PANELS`."""

    def fingerprint(self) -> str:
        """Short hash of the settings and of the code that makes the sound and the votes."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode())
        for path in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:10]


@dataclass(frozen=True)
class _Clip:
    name: str
    performance: Performance
    rationale: str


def write_demo(folder: Path, settings: DemoSettings) -> None:
    """Make the corpus in `folder`, completely or not at all; the same settings give the same corpus."""
    print(f"demo: making {settings.actors * settings.clips_per_actor:,} clips in {folder}", file=sys.stderr)
    with new_folder(folder) as unfinished:
        (unfinished / AUDIO_FOLDER).mkdir()
        clips = list(_perform_all(unfinished / AUDIO_FOLDER, settings))
        _write_votes(unfinished / VOTES_FILE, clips)
        rows = [{"id": clip.name, "rationale": clip.rationale} for clip in clips]
        write_rows(unfinished / RATIONALES_FILE, rows)


def _perform_all(audio: Path, settings: DemoSettings) -> Iterator[_Clip]:
    """Write every actor's clips and yield them; they do not depend on how many actors there are."""
    console = Console(stderr=True)
    for actor in track(ACTORS[: settings.actors], "making the demo", console=console, transient=True):
        rng = np.random.default_rng([settings.seed, int(actor)])
        speaker = draw_speaker(rng)
        for sentence, emotion in _programme(settings.clips_per_actor, rng):
            performance = perform(emotion, rng, panel=settings.panel)
            vowels = syllables_of(SENTENCES[sentence])
            sound = speak(speaker, performance.cues, vowels=vowels, rng=rng)
            name = f"{actor}_{sentence}_{ACTED[emotion]}_XX"
            soundfile.write(audio / f"{name}.wav", sound.numpy(), RATE_HZ, subtype="PCM_16")
            rationale = explain(performance.cues, performance.votes, classes=CATEGORIES.names, rng=rng)
            yield _Clip(name, performance, rationale)


def _programme(clips: int, rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    """Distinct pairs of a sentence and an acted emotion, every emotion about as often."""
    codes = list(SENTENCES)
    sentences = [rng.permutation(len(codes)) for _ in ACTED]
    for number in range(clips):
        emotion = number % len(ACTED)
        yield codes[int(sentences[emotion][number // len(ACTED)])], emotion


def _write_votes(path: Path, clips: Sequence[_Clip]) -> None:
    path.parent.mkdir()
    with replacing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEADER)
        for number, clip in enumerate(clips, start=1):
            votes = clip.performance.votes
            most = "".join(c for c, count in zip(VOTE_COLUMNS, votes, strict=True) if count == votes.max())
            row = [f"1{number:05d}", *votes.tolist(), clip.name, votes.sum(), votes.max() / votes.sum(), most]
            table.writerow([*row, *([NO_RATING] * (len(HEADER) - len(row)))])
