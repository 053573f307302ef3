"""The dialect of a server: the names of its parameters, and those that it accepts."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from data_curation.clips import silence_base64
from data_curation.questions import Question, prompt
from data_curation.records import Structured

LIMITS: tuple[str | None, ...] = ("max_completion_tokens", "max_tokens", None)
"""Names of the limit on a reply's tokens, in the order in which they are tried. None is the server's limit."""
FALLBACK: dict[Structured, Structured] = {"tool": "json_schema", "json_schema": "text"}
"""The next way to ask for structure, where a server does not have the present one."""


@dataclass(frozen=True)
class Dialect:
    """Parameters that a server accepts, learnt from requests that it declined, which cost nothing (`lessons.py`)."""

    structured: Structured = "tool"
    may_fall_back: bool = True
    """False where the user chose the structure, so that its refusal is an error."""
    silence: bool = False
    """Whether a question without a clip gets a second of silence."""
    temperature: float | None = None
    """Sampling temperature; None for the server's default."""
    limit: str | None = "max_completion_tokens"
    """Name of the parameter for the largest number of tokens of a reply."""
    limit_needed: bool = False
    """True where the cost is capped, so that the limit has to be sent under some name."""
    most_tokens: int | None = None
    """Largest value that the server accepts for `limit`; None where it is not known."""
    strict: bool = True
    """Whether a JSON schema is sent as strict."""
    tool_choice: Literal["named", "required"] | None = "named"
    """How the tool call is forced, where the user chose it."""
    system: bool = True
    """False where the server has no system messages, so that their text comes before the question."""

    def body(self, question: Question, model: str) -> dict[str, Any]:
        """The body of the Chat Completions request."""
        text = question.text
        if self.structured == "text":
            text += prompt("json_only").substitute(schema=json.dumps(question.tool.schema))
        messages = [{"role": "user", "content": self._content(question, text)}]
        if self.system:
            messages.insert(0, {"role": "system", "content": question.system})
        body: dict[str, Any] = {"model": model, "messages": messages}
        if self.limit is not None:
            body[self.limit] = self.tokens(question)
        if self.temperature is not None:
            body["temperature"] = self.temperature
        return body | self._structure(question)

    def tokens(self, question: Question) -> int:
        """Largest number of tokens of the reply."""
        return min(question.max_tokens, self.most_tokens or question.max_tokens)

    def _content(self, question: Question, text: str) -> str | list[dict[str, Any]]:
        if not self.system:
            text = f"{question.system}\n\n{text}"
        if question.clip is None and not self.silence:
            return text
        data = silence_base64() if question.clip is None else question.clip.wav_base64
        sound = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        return [{"type": "text", "text": text}, sound]

    def _structure(self, question: Question) -> dict[str, Any]:
        tool = question.tool
        if self.structured == "tool":
            function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
            named = {"type": "function", "function": {"name": tool.name}}
            choice = named if self.tool_choice == "named" else self.tool_choice
            forced = {} if choice is None else {"tool_choice": choice}
            return {"tools": [{"type": "function", "function": function}], **forced}
        if self.structured == "json_schema":
            schema = {"name": tool.name, "schema": tool.schema, **({"strict": True} if self.strict else {})}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        return {}
