"""IEMOCAP in small, in the release's layout and syntax, with the traps of the real files. All of it is invented."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

HEADING = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
TURNS: Mapping[str, tuple[str, Sequence[str]]] = {
    "F000": ("neu", ["C-E2:\tNeutral;\t()", "C-E3:\tNeutral; Frustration;\t(a bit, tense)", "C-E4:\tSadness;\t()"]),
    "M000": ("exc", ["C-E1:\tExcited;\t()", "C-E3:\tHappiness; Excited;\t()", "C-E4:\tNeutral state;\t(angry; no)"]),
    "F001": ("xxx", ["C-E1:\tAnger; Disgust;\t()", "C-E2:\tFrustration;\t()", "C-E4:\tSurprise;\t()"]),
    "M001": ("fru", ["C-E1:\tFrustration;\t(loud, about to leave)", "C-E5:\tOther;\t()", "C-E6:\t;\t()"]),
    "F002": ("ang", ["C-E1:\tAnger;  Frustration ; \t ( loud )  ", "C-E2: anger; ()", "C-E4:\tAnger;\t()"]),
}  # fmt: skip
"""Ending of a turn's name → its code and the lines of its evaluators."""
DIALOGUES = ("F_impro01", "M_impro05a", "F_script01_3b")
"""Dialogues of each session, after `Ses0N`: the two actors, a letter, and a script in parts."""
FIRST = "Ses01F_impro01"
NEUTRAL = ("C-E1:\tNeutral;\t()", "C-E2:\tNeutral;\t()", "C-E3:\tSadness;\t()")
"""Lines of evaluators: two votes for neutral, one for sadness."""
OWN_OPINION = {"F": "C-F1:\tSadness;\t()", "M": "C-M1:\tSadness; Anger;\t(own view)"}
ATTRIBUTES = ("A-E3:\tval 3; act 2; dom  2;\t()", "A-E4:\tval 2; act 3; dom  ;\t(mildly, perhaps)")


def write(folder: Path) -> Path:
    """Five sessions of three dialogues with five turns each; three of the five are items of the four classes."""
    for session in range(1, 6):
        for dialogue in DIALOGUES:
            write_dialogue(folder, f"Ses0{session}{dialogue}")
    for session in range(1, 6):
        labels = folder / f"Session{session}" / "dialog" / "EmoEvaluation"
        first = f"Ses0{session}F_impro01"
        (labels / "Categorical").mkdir()
        (labels / "Categorical" / f"{first}_e2_cat.txt").write_text(f"{first}_F000 :Neutral state; ()\n")
        (labels / f"._{first}.txt").write_bytes(b"\x00\x05\x16\x07macOS")
        (folder / f"Session{session}" / "sentences" / "wav" / first / f"._{first}_F000.wav").write_bytes(
            b"\x00"
        )
    return folder


def write_dialogue(folder: Path, name: str, turns: Mapping[str, tuple[str, Sequence[str]]] = TURNS) -> None:
    """Labels (with the ends of lines of Windows in improvisations), transcripts and sounds of one dialogue."""
    session = folder / f"Session{name[4]}"
    ends = "\r\n" if "impro" in name else "\n"
    blocks = [
        block(f"{name}_{ending}", code, lines, start=at)
        for at, (ending, (code, lines)) in enumerate(turns.items(), 1)
    ]
    write_labels(folder, name, f"{HEADING}\n\n" + "\n\n".join(blocks), ends=ends)
    lines = [
        f"{name}_{ending} [{at:03d}.5000-{at:03d}.9000]: Words of {ending}. [LAUGHTER]"
        for at, ending in enumerate(turns, 1)
    ]
    remarks = [f"{name}_MXX0 [090.0000-091.0000]: Both talk.", "M: (leaves the room)"]
    path = session / "dialog" / "transcriptions" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ends.join([*lines, *remarks, ""]).encode())
    for seed, ending in enumerate(turns):
        write_sound(session / "sentences" / "wav" / name / f"{name}_{ending}.wav", seed)


def block(turn: str, code: str, lines: Sequence[str], *, start: int = 1) -> str:
    """The block of a turn, as the release has it: header, evaluators, the actor's own view, attributes."""
    header = f"[{start}.5000 - {start}.9000]\t{turn}\t{code}\t[2.5000, 2.5000, 2.0000]"
    return "\n".join([header, *lines, OWN_OPINION[turn[-4]], *ATTRIBUTES])


def write_labels(folder: Path, name: str, text: str, *, ends: str = "\n") -> Path:
    path = folder / f"Session{name[4]}" / "dialog" / "EmoEvaluation" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("\n", ends).encode())
    return path


def relabel(folder: Path, *blocks: str) -> Path:
    """Give the dialogue FIRST other labels."""
    return write_labels(folder, FIRST, f"{HEADING}\n\n" + "\n\n".join(blocks))


def write_sound(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, 3_200), 16_000)
