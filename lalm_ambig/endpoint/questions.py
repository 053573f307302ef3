"""Items as chat messages: the prompts that policies get, with clips as WAV in base64."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import soundfile

from lalm_ambig.audio.reading import RATE_HZ, read_audio
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.types import Item
from lalm_ambig.data.encoding import Elicitation, prompt_template
from lalm_ambig.endpoint.limits import Usage
from lalm_ambig.prompts import prompt_parts
from lalm_ambig.readouts.verbalised import json_template

Message = dict[str, Any]
LONGEST_CLIP_S = 30.0
"""Seconds of a clip that are sent: what policies hear of it."""
AUDIO_TOKENS_PER_S = 25
"""Most tokens that a second of sound takes on the servers that are known."""
OVERHEAD_TOKENS = 200
"""Tokens of a request's structure; more than any server was seen to add."""


@dataclass(frozen=True)
class Questions:
    """The way in which items are asked about."""

    asked: Elicitation
    categories: CategorySet

    @cached_property
    def heard(self) -> str:
        """The prompt of items with sound, its classes filled in."""
        return self._template(self.asked)

    @cached_property
    def read(self) -> str:
        """The prompt of items without."""
        return self._template(self.asked.about_texts)

    def _template(self, asked: Elicitation) -> str:
        return prompt_template(asked, self.categories).replace("{json}", json_template(self.categories))

    def messages(self, item: Item) -> list[Message]:
        """The user's turn about an item.

        Raises:
            InputError: The clip cannot be read, or the prompt has no place for it.
        """
        if item.audio is None:
            parts = prompt_parts(self.read, text=item.text, audio=False, annotator=item.about_annotator)
            return [{"role": "user", "content": "\n".join(part["text"] for part in parts)}]
        sound = {"type": "input_audio", "input_audio": {"data": wav_base64(item.audio), "format": "wav"}}
        parts = prompt_parts(self.heard, text=item.text, audio=True, annotator=item.about_annotator)
        return [{"role": "user", "content": [part if part["type"] == "text" else sound for part in parts]}]


def wav_base64(path: str) -> str:
    """The beginning of a clip as a WAV file in base64: 16 kHz, mono, 16 bit.

    Args:
        path: The sound file.

    Raises:
        UnusableAudio: It cannot be decoded.
    """
    buffer = io.BytesIO()
    samples = read_audio(path, max_s=LONGEST_CLIP_S).numpy()
    soundfile.write(buffer, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def worst_usage(messages: Sequence[Message], *, max_tokens: int) -> Usage:
    """The most tokens that a call can take: one per byte of text, and the longest answer.

    Args:
        messages: Those that are sent.
        max_tokens: Longest answer.
    """
    texts, audio = 0, 0
    for message in messages:
        content: Any = message["content"]
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "text":
                texts += len(part["text"].encode("utf-8", "surrogatepass"))
            else:
                seconds = len(part["input_audio"]["data"]) * 3 / 4 / (2 * RATE_HZ)
                audio += round(seconds * AUDIO_TOKENS_PER_S) + 1
    return Usage(texts + audio + OVERHEAD_TOKENS, max_tokens, audio)
