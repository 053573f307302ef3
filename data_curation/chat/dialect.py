"""How a question is put to a particular server: what it calls its parameters, and which of them it takes."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from data_curation.clips import silence_base64
from data_curation.questions import Question, prompt
from data_curation.records import Structured

LIMITS: tuple[str | None, ...] = ("max_completion_tokens", "max_tokens", None)
"""Names of the limit on a reply's tokens, in the order in which they are tried; None: the server's own limit."""
FALLBACK: dict[Structured, Structured] = {"tool": "json_schema", "json_schema": "text"}
"""What is tried when a server says that it does not have a way of structuring replies."""


@dataclass(frozen=True)
class Dialect:
    """What a server was found to accept. Learnt from what it declines, which costs nothing (`lessons.py`)."""

    structured: Structured = "tool"
    may_fall_back: bool = True
    """False where the user chose the structure: then a refusal of it is an error."""
    silence: bool = False
    """A second of silence goes with a question that has no clip."""
    temperature: float | None = None
    """None: the server's own."""
    limit: str | None = "max_completion_tokens"
    """Under which name the most tokens of a reply are sent."""
    limit_needed: bool = False
    """True where what a call may cost is capped: then it has to be sent under some name."""
    most_tokens: int | None = None
    """The most that the server takes for `limit`; None as far as is known."""
    strict: bool = True
    """Whether a JSON schema is said to be strict."""
    tool_choice: Literal["named", "required"] | None = "named"
    """How the tool call is forced, where the user chose it."""
    system: bool = True
    """False: the server has no system messages, and what they say stands before the question."""

    def body(self, question: Question, model: str) -> dict[str, Any]:
        """The Chat Completions request."""
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
        """The most tokens that a reply may have."""
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
