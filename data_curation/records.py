"""The records of curation: what a writer produces, and the row of the JSON Lines file it is kept in."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Outcome = Literal["accepted", "rejected", "refused", "unreadable"]
"""accepted: every rule holds and (openai) the validator agrees. rejected: it was read and found wanting.
refused: the model declined. unreadable: no reply could be parsed. Only `accepted` rows reach the trainer."""


Role = Literal["writer", "validator"]
Structured = Literal["tool", "json_schema", "text"]
"""How a reply's structure is asked for: a forced tool call, a JSON schema, or in words only."""
PROSE = ("text_analysis", "volume", "speed", "pitch", "tone", "synthesis")
"""The fields of `Reasoning` that are plain sentences."""


class ClassCue(BaseModel):
    """One class that listeners chose, and what in the clip supports it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    category: str
    cue: str


class Reasoning(BaseModel):
    """The structured chain of thought of paper A, Table 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    keywords: tuple[str, ...]
    """Salient acoustic and linguistic cues, a few words each."""
    text_analysis: str
    """Step 1: what the words mean, and where they leave the emotion open."""
    volume: str
    speed: str
    pitch: str
    tone: str
    """Step 2: the prosody in professional terms, a sentence each."""
    class_cues: tuple[ClassCue, ...]
    """Step 2: for every class with votes, the cue that supports it, most voted class first."""
    synthesis: str
    """Step 3: how the evidence weighs, without a number or a vote count."""

    def as_text(self) -> str:
        """The text that the trainer puts between `<think>` and `</think>`: plain sentences under heads."""
        cues = " ".join(f"{cue.category.capitalize()}: {cue.cue}" for cue in self.class_cues)
        return (
            f"Keywords: {', '.join(self.keywords)}.\n"
            f"Text: {self.text_analysis}\n"
            f"Audio: {self.volume} {self.speed} {self.pitch} {self.tone} {cues}\n"
            f"Synthesis: {self.synthesis}"
        )


class Usage(BaseModel):
    """Tokens and money of one call or of several added up."""

    model_config = ConfigDict(frozen=True)
    prompt_tokens: int = 0
    audio_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0

    def plus(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


class Call(BaseModel):
    """One paid request and the reply to it, as it came."""

    model_config = ConfigDict(frozen=True)
    role: Role
    attempt: int
    """Which writing of the item it belongs to, from 1."""
    reply: str
    """The response's body, unchanged: parsing and judging start from it and can be repeated unpaid."""
    structured: Structured
    model: str
    """The model as the server names it; the requested one where it names none."""
    request_id: str | None = None
    usage: Usage = Field(default_factory=Usage)
    started: str
    finished: str


class CurationRow(BaseModel):
    """One line of the JSON Lines file: an item's reasoning, its verdict and where it came from."""

    model_config = ConfigDict(frozen=True)
    key: str
    """Content address of the request: model, prompts, parameters, schema, target, transcript, audio bytes."""
    corpus: str
    id: str
    writer: Literal["openai", "acoustic"]
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    """Why it was not accepted: rule names with details, or what could not be read."""
    categories: tuple[str, ...]
    votes: tuple[float, ...]
    text: str | None = None
    audio: str | None = None
    """Path of the clip relative to the corpus root."""
    reasoning: Reasoning | None = None
    rationale: str | None = None
    """`reasoning.as_text()`: the field the trainer reads, present exactly when accepted."""
    validated_dist: tuple[float, ...] | None = None
    """What the validator predicted from the reasoning alone; None where none was asked (acoustic)."""
    js_bits: float | None = None
    """Jensen-Shannon divergence, base 2, between `validated_dist` and the votes."""
    measurements: dict[str, float] | None = None
    """acoustic writer: the numbers its sentences were made from."""
    model: str | None = None
    """The model that was asked to write; `calls` say which one answered."""
    validator_model: str | None = None
    calls: tuple[Call, ...] = ()
    """openai writer: every request in order, with its raw reply."""
    usage: Usage = Field(default_factory=Usage)
    """Sum over `calls`."""
    paid_usd: float = 0.0
    """What this row added to the bill: less than the sum where it judges an earlier row's replies anew."""
    attempts: int = 1
    started: str = ""
    finished: str = ""


def active(votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """The classes that have votes, most voted first, ties in the corpus's order."""
    order = sorted(range(len(votes)), key=lambda c: (-votes[c], c))
    return [categories[c] for c in order if votes[c] > 0]


def now() -> str:
    """Present time in UTC, ISO 8601 with milliseconds, as records state it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
