"""Prompts as files: `STEM.MODE.txt`, MODE `reason` or `direct`, with the placeholders {audio}, {text} and {classes}."""

from pathlib import Path
from typing import Literal

from lalm_ambig.errors import InputError

Mode = Literal["reason", "direct"]
FOLDER = Path(__file__).parent


def load_prompt(stem: str, mode: Mode) -> str:
    """The text of a prompt: a stem of this folder, or the path of a file of the user's own."""
    own = Path(stem).expanduser()
    path = own if own.suffix == ".txt" else FOLDER / f"{stem}.{mode}.txt"
    if not path.is_file():
        known = sorted({p.name.split(".")[0] for p in FOLDER.glob("*.txt")})
        raise InputError(
            f"no prompt {stem!r}: expected one of {', '.join(known)}, or a .txt file.", where="data.prompt"
        )
    return path.read_text(encoding="utf-8").strip()


def prompt_parts(
    template: str, *, text: str | None, classes: tuple[str, ...], audio: bool
) -> list[dict[str, str]]:
    """The template as chat parts: {audio} becomes an audio part, {text} and {classes} are filled in.

    A line that holds {text} is left out where an item has none, and so is {audio}.
    """
    lines = [line for line in template.split("\n") if text is not None or "{text}" not in line]
    whole = "\n".join(lines).replace("{classes}", ", ".join(classes))
    before, marker, after = whole.partition("{audio}")
    if audio and not marker:
        raise InputError("the prompt has no {audio}, but the items have sound.", where="data.prompt")
    pieces = [before.strip("\n"), after.strip("\n")] if marker else [whole]
    filled = [piece.replace("{text}", text or "") for piece in pieces]
    parts = [{"type": "text", "text": piece} for piece in filled]
    if audio:
        parts.insert(1, {"type": "audio", "audio_url": "clip"})
    return [part for part in parts if part.get("text") != ""]
