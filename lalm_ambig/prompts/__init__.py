"""Prompts as files: `STEM.MODE.txt`, with the placeholders {audio}, {text}, {classes}, {glosses} and {json}."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from lalm_ambig.core.categories import canonical_key
from lalm_ambig.core.errors import InputError

Mode = Literal["reason", "direct", "json_reason", "json"]
"""With reasoning and without, for the logit readout and for a distribution in JSON."""
FOLDER = Path(__file__).parent
FOR_TEXTS = {"speech_emotion": "text_emotion", "speech_emotion_short": "text_emotion"}
"""Prompts about a recording, by stem, and those that ask the same about a text."""


def load_prompt(stem: str, mode: Mode) -> str:
    """The text of a prompt: a stem of this folder, or the path of a file of the user's own."""
    own = Path(stem).expanduser()
    path = own if own.suffix == ".txt" else FOLDER / f"{stem}.{mode}.txt"
    if not path.is_file():
        known = sorted({p.name.split(".")[0] for p in FOLDER.glob("*.txt")})
        raise InputError(
            f"no prompt {stem!r}: expected one of {', '.join(known)}, or a .txt file.", where="data.prompt"
        )
    return _text(path).strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text: {error.reason} at byte {error.start}", where=str(path)) from error


def load_glosses(stem: str) -> dict[str, str]:
    """Canonical key of a class → what it means, for `{glosses}`; nothing where a stem has no glosses.

    InputError for a file of the user's own that is missing, or a line without a colon.
    """
    own = Path(stem).expanduser()
    path = own if own.suffix == ".txt" else FOLDER / f"{stem}.glosses.txt"
    if not path.is_file():
        if own.suffix == ".txt":
            remedy = "Give a .txt file with a line `class: what it means` for each class."
            raise InputError(f"no such file: {own}", where="data.glosses", remedy=remedy)
        return {}
    glosses: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        name, colon, gloss = line.partition(":")
        if line.strip() and not colon:
            raise InputError(f"expected `class: what it means`, got {line!r}", where=f"{path}:{number}")
        if line.strip():
            glosses[canonical_key(name)] = gloss.strip()
    return glosses


def gloss_lines(classes: Sequence[str], glosses: Mapping[str, str]) -> str:
    """One line a class, `- name: gloss`, or the bare name where none is known."""
    found = [(name, glosses.get(canonical_key(name))) for name in classes]
    return "\n".join(f"- {name}: {gloss}" if gloss else f"- {name}" for name, gloss in found)


def fill_classes(template: str, classes: Sequence[str], glosses: Mapping[str, str]) -> str:
    """The template with {classes} and {glosses} filled in."""
    listed = template.replace("{glosses}", gloss_lines(classes, glosses))
    return listed.replace("{classes}", ", ".join(classes))


def prompt_parts(template: str, *, text: str | None, audio: bool) -> list[dict[str, str]]:
    """The template as chat parts: {audio} becomes an audio part, {text} is filled in.

    A line that holds {text} is left out where an item has none, and so is {audio}.
    """
    lines = [line for line in template.split("\n") if text is not None or "{text}" not in line]
    whole = "\n".join(lines)
    before, marker, after = whole.partition("{audio}")
    if audio and not marker:
        remedy = "Put {audio} where the clip belongs, or leave --data.prompt (--prompt) out."
        raise InputError(
            "the prompt has no {audio}, but the items have sound.", where="data.prompt", remedy=remedy
        )
    pieces = [before.strip("\n"), after.strip("\n")] if marker else [whole]
    filled = [piece.replace("{text}", text or "") for piece in pieces]
    parts = [{"type": "text", "text": piece} for piece in filled]
    if audio:
        parts.insert(1, {"type": "audio", "audio_url": "clip"})
    return [part for part in parts if part.get("text") != ""]
