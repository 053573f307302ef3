"""Prompts: text files in this folder, filled in per item.

A *stem* names one way to ask, such as `speech_emotion`; a *mode* says what is answered: a class or a distribution in
JSON, with reasoning or without, or with what is heard alone. The file is `STEM.MODE.txt`, with the placeholders
{audio}, {text}, {classes}, {number}, {glosses}, {json} and {annotator}; {number} is how many classes there are, in
words. *Glosses* say what a class means, one `class: meaning` per line of `STEM.glosses.txt`; of a scale that corpora
have with several numbers of steps, `STEM.glosses_7.txt` says it for seven. `annotators` says what is in the place of
{annotator}.

`load_prompt` and `load_glosses` read the files, `fill_classes` names the classes, `prompt_parts` makes the chat's text
and audio parts.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from lalm_ambig.core.categories import canonical_key
from lalm_ambig.core.errors import InputError
from lalm_ambig.prompts.annotators import ANNOTATOR

Mode = Literal["reason", "heard", "direct", "json_reason", "json_heard", "json"]
"""With reasoning, with its first part alone, and without; for the logit readout and for a distribution in JSON."""
FOLDER = Path(__file__).parent
TEXT = "{text}"
FILLED = re.compile(f"{re.escape(TEXT)}|{re.escape(ANNOTATOR)}")
"""Places that are filled at once, so that a text with another place in it stays as it is."""
NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
"""How many classes there are, in words."""
FOR_TEXTS = {"speech_emotion": "text_emotion", "speech_emotion_short": "text_emotion"}
"""Prompts about a recording, by stem, and those that ask the same about a text."""


def load_prompt(stem: str, mode: Mode) -> str:
    """Read the template of a prompt.

    Args:
        stem: A stem of this folder, or the path of the user's own .txt file.
        mode: Of which mode; a file of the user's own is used for every mode.

    Returns:
        The text, without blanks around it.

    Raises:
        InputError: There is no such prompt, or the file is not UTF-8.
    """
    user_file = Path(stem).expanduser()
    path = user_file if user_file.suffix == ".txt" else FOLDER / f"{stem}.{mode}.txt"
    if not path.is_file():
        stems = sorted({p.name.split(".")[0] for p in FOLDER.glob("*.txt")})
        if stem in stems:
            raise InputError(
                f"prompt {stem} has no mode {mode}.",
                where="data.prompt",
                remedy=f"Write its file {path.name}.",
            )
        raise InputError(
            f"no prompt {stem!r}: expected one of {', '.join(stems)}, or a .txt file.", where="data.prompt"
        )
    return _text(path).strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text: {error.reason} at byte {error.start}", where=str(path)) from error


def load_glosses(stem: str, classes: int | None = None) -> dict[str, str]:
    """Read what each class means, for the placeholder {glosses}.

    Args:
        stem: A stem of this folder, or the path of the user's own .txt file.
        classes: How many there are. Where a stem has glosses for that number, these are read.

    Returns:
        Canonical key of a class → its meaning; empty for a stem without glosses.

    Raises:
        InputError: The user's file is missing, or a line has no colon.
    """
    user_file = Path(stem).expanduser()
    path = user_file if user_file.suffix == ".txt" else FOLDER / f"{stem}.glosses_{classes}.txt"
    if user_file.suffix != ".txt" and not path.is_file():
        path = FOLDER / f"{stem}.glosses.txt"
    if not path.is_file():
        if user_file.suffix == ".txt":
            remedy = "Give a .txt file with a line `class: what it means` for each class."
            raise InputError(f"no such file: {user_file}", where="data.glosses", remedy=remedy)
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
    """One line per class: `- name: gloss`, or `- name` for a class without a gloss."""
    pairs = [(name, glosses.get(canonical_key(name))) for name in classes]
    return "\n".join(f"- {name}: {gloss}" if gloss else f"- {name}" for name, gloss in pairs)


def fill_classes(template: str, classes: Sequence[str], glosses: Mapping[str, str]) -> str:
    r"""Fill {classes}, {number} and {glosses} in.

    >>> fill_classes("One of {number}: {classes}.\n{glosses}", ["fear", "neutral"], {"fear": "afraid"})
    'One of two: fear, neutral.\\n- fear: afraid\\n- neutral'
    """
    number = NUMBERS[len(classes)] if len(classes) < len(NUMBERS) else str(len(classes))
    with_glosses = template.replace("{number}", number).replace("{glosses}", gloss_lines(classes, glosses))
    return with_glosses.replace("{classes}", ", ".join(classes))


def prompt_parts(
    template: str, *, text: str | None, audio: bool, annotator: str | None = None
) -> list[dict[str, str]]:
    """Split a template into the parts of a chat message: {audio} becomes an audio part, texts are filled in.

    Args:
        template: The prompt, its classes filled in.
        text: The item's text; None leaves out the lines that hold {text}.
        audio: Whether the item has sound; False leaves {audio} out.
        annotator: What is said of the annotator; None leaves out the lines that hold {annotator}.

    Returns:
        The parts as chat templates take them, without empty ones.

    Raises:
        InputError: The item has sound, and the template no {audio}.
    """
    values = {TEXT: text, ANNOTATOR: annotator}
    missing = [place for place, value in values.items() if value is None]
    lines = [line for line in template.split("\n") if not any(place in line for place in missing)]
    message = "\n".join(lines)
    before, marker, after = message.partition("{audio}")
    if audio and not marker:
        remedy = "Put {audio} where the clip belongs, or leave --data.prompt (--prompt) out."
        raise InputError(
            "the prompt has no {audio}, but the items have sound.", where="data.prompt", remedy=remedy
        )
    pieces = [before.strip("\n"), after.strip("\n")] if marker else [message]
    filled = [FILLED.sub(lambda place: values[place[0]] or "", piece) for piece in pieces]
    parts = [{"type": "text", "text": piece} for piece in filled]
    if audio:
        parts.insert(1, {"type": "audio", "audio_url": "clip"})
    return [part for part in parts if part.get("text") != ""]
