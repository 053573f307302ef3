"""How a question is put to a particular server: structured output and sound differ between them."""

import json
from dataclasses import dataclass, replace
from typing import Any

from data_curation.clips import silence_base64
from data_curation.records import Structured
from data_curation.request import Ask, prompt

FALLBACK: dict[Structured, Structured] = {"tool": "json_schema", "json_schema": "text"}
"""What is tried when a server says that it does not have a way of structuring replies."""
STRUCTURE_WORDS = ("tool", "function", "response_format", "json_schema", "structured", "grammar", "guided")
SOUND_WORDS = ("audio", "modalit")


@dataclass(frozen=True)
class Dialect:
    """What a server was found to accept. Learnt from its 400 replies, which cost nothing."""

    structured: Structured = "tool"
    may_fall_back: bool = True
    """False where the user chose the structure: then a refusal of it is an error."""
    silence: bool = False
    """A second of silence goes with a question that has no clip."""
    temperature: float | None = None
    """None: the server's own."""

    def learn(self, message: str, ask: Ask) -> "Dialect | None":
        """The dialect to try after a 400 with this message; None if it names nothing that we can change."""
        words = message.lower()
        if "temperature" in words and self.temperature is not None:
            return replace(self, temperature=None)
        if (
            any(word in words for word in STRUCTURE_WORDS)
            and self.may_fall_back
            and self.structured in FALLBACK
        ):
            return replace(self, structured=FALLBACK[self.structured])
        if any(word in words for word in SOUND_WORDS) and ask.clip is None and not self.silence:
            return replace(self, silence=True)
        return None

    def body(self, ask: Ask, model: str) -> dict[str, Any]:
        """The Chat Completions request."""
        text = ask.text
        if self.structured == "text":
            text += prompt("json_only").substitute(schema=json.dumps(ask.tool.schema))
        body: dict[str, Any] = {
            "model": model,
            "messages": [
                {"role": "system", "content": ask.system},
                {"role": "user", "content": self._content(ask, text)},
            ],
            "max_completion_tokens": ask.max_tokens,
        }
        if self.temperature is not None:
            body["temperature"] = self.temperature
        return body | self._structure(ask)

    def _content(self, ask: Ask, text: str) -> str | list[dict[str, Any]]:
        if ask.clip is None and not self.silence:
            return text
        data = silence_base64() if ask.clip is None else ask.clip.wav_base64
        sound = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        return [{"type": "text", "text": text}, sound]

    def _structure(self, ask: Ask) -> dict[str, Any]:
        tool = ask.tool
        if self.structured == "tool":
            function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
            return {
                "tools": [{"type": "function", "function": function}],
                "tool_choice": {"type": "function", "function": {"name": tool.name}},
            }
        if self.structured == "json_schema":
            schema = {"name": tool.name, "schema": tool.schema, "strict": True}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        return {}
