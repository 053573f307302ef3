"""The questions of curation to a model, the tools that structure the replies, and content addresses."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Template
from typing import Any

from data_curation.clips import ENCODING, Clip
from data_curation.records import PROSE, Reasoning, Role, active
from lalm_ambig.core.items import Item

SECTIONS = {
    "text_analysis": "What the words mean, and where they leave the class open.",
    "volume": "One sentence on loudness and its course.",
    "speed": "One sentence on speaking rate and pauses.",
    "pitch": "One sentence on level, range and movement of the pitch.",
    "tone": "One sentence on voice quality and manner.",
    "synthesis": "How the evidence weighs, without a number.",
}


@dataclass(frozen=True)
class Tool:
    """The structure of a reply, as a function that the model has to call."""

    name: str
    description: str
    schema: dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One question to a model, in no server's dialect yet."""

    role: Role
    attempt: int
    """Number of the item's attempt that it belongs to, from 1."""
    turn: int
    """Number of earlier calls for the item."""
    system: str
    text: str
    tool: Tool
    max_tokens: int
    clip: Clip | None = None

    @property
    def address(self) -> str:
        """Content address of the question within its job."""
        audio = None if self.clip is None else self.clip.sha256
        return digest(
            [self.role, self.turn, self.system, self.text, self.tool.schema, self.max_tokens, audio]
        )


@dataclass(frozen=True)
class Rejection:
    """Why an earlier attempt was rejected. It becomes part of the next question."""

    previous: str
    """The earlier text, or a note where it was not readable."""
    reasons: tuple[str, ...]


def digest(value: object) -> str:
    """SHA-256 of a JSON value in canonical form, as hexadecimal text."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


@cache
def prompt(name: str) -> Template:
    """The prompt in `prompts/NAME.txt`."""
    return Template((files("data_curation") / "prompts" / f"{name}.txt").read_text(encoding="utf-8"))


@cache
def prompts_hash() -> str:
    """Hash of all prompts. A changed word in any of them changes every content address."""
    folder = files("data_curation") / "prompts"
    texts = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".txt")
    }
    return digest(texts)


def writer_question(item: Item, categories: Sequence[str], *, clip: Clip | None, max_tokens: int) -> Question:
    """The first question for an item's reasoning.

    Args:
        item: The item, with its votes.
        categories: The classes, in the order of the votes.
        clip: Its sound; None without sound.
        max_tokens: Longest reply.
    """
    text = prompt("writer.user").substitute(
        classes=", ".join(categories),
        transcript=f'"{item.text}"' if item.text else "not known",
        recording="attached" if clip is not None else "none, judge by the words alone and say so",
        division=_division(item, categories),
        active=", ".join(active(item.votes, categories)),
    )
    system = prompt("writer.system").template
    return Question("writer", 1, 0, system, text, writer_tool(tuple(categories)), max_tokens, clip)


def rewrite_question(first: Question, rejection: Rejection, *, attempt: int, turn: int) -> Question:
    """The question for a better version: the first question, the rejected text and the reasons.

    Args:
        first: The first question for the item.
        rejection: The rejected text and the reasons.
        attempt: Number of the attempt that the question begins.
        turn: Number of earlier calls for the item.
    """
    reasons = "\n".join(f"- {reason}" for reason in rejection.reasons)
    more = prompt("rewrite").substitute(previous=rejection.previous, reasons=reasons)
    return Question(
        "writer", attempt, turn, first.system, first.text + more, first.tool, first.max_tokens, first.clip
    )


def validator_question(
    reasoning: Reasoning, categories: Sequence[str], *, attempt: int, turn: int, max_tokens: int
) -> Question:
    """The question for the distribution that a reasoning supports. It has the text and the class names only.

    Args:
        reasoning: The reasoning to judge.
        categories: The classes, in the corpus's order.
        attempt: Number of the attempt that the reasoning is from.
        turn: Number of earlier calls for the item.
        max_tokens: Longest reply.
    """
    text = prompt("validator.user").substitute(classes=", ".join(categories), rationale=reasoning.as_text())
    system = prompt("validator.system").template
    return Question("validator", attempt, turn, system, text, validator_tool(tuple(categories)), max_tokens)


@cache
def writer_tool(categories: tuple[str, ...]) -> Tool:
    """The tool with the structure of `records.Reasoning` and the corpus's classes."""
    text = {"type": "string"}
    cue = _object({"category": {"type": "string", "enum": list(categories)}, "cue": text})
    properties: dict[str, Any] = {name: {**text, "description": SECTIONS[name]} for name in PROSE}
    properties["keywords"] = {
        "type": "array",
        "items": text,
        "description": "Salient cues, a few words each.",
    }
    properties["class_cues"] = {
        "type": "array",
        "items": cue,
        "description": "For each class that any listener chose, the cue that supports it; most chosen first.",
    }
    return Tool("record_reasoning", "Record the analysis of the utterance.", _object(properties))


@cache
def validator_tool(categories: tuple[str, ...]) -> Tool:
    """The tool with one share per class."""
    properties = {
        name: {"type": "number", "description": "Share of listeners, 0 to 1."} for name in categories
    }
    return Tool(
        "state_distribution", "State the distribution that the analysis supports.", _object(properties)
    )


def job_key(
    item: Item, categories: Sequence[str], *, audio_sha256: str | None, settings: Mapping[str, object]
) -> str:
    """Content address of an item's curation.

    It covers everything that is sent and the settings that shape the reply. The limits of the verdict (threshold,
    attempts) are not part of it, since `validate` can judge the same replies again.

    Args:
        item: The item.
        categories: The classes.
        audio_sha256: Hash of the clip's bytes; None without sound.
        settings: Settings that shape the reply.
    """
    tools = [tool(tuple(categories)).schema for tool in (writer_tool, validator_tool)]
    return digest(
        {
            "settings": dict(settings),
            "prompts": prompts_hash(),
            "tools": tools,
            "target": [round(share, 9) for share in item.label_dist],
            "transcript": item.text,
            "audio": audio_sha256,
            "encoding": ENCODING,
        }
    )


def _division(item: Item, categories: Sequence[str]) -> str:
    shares = dict(zip(categories, item.label_dist, strict=True))
    return ", ".join(f"{name} {shares[name]:.0%}" for name in active(item.votes, categories))


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
