"""The records of curation: the reasoning that a writer produces, and the row of the JSON Lines file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lalm_ambig.core.rationale_parts import AUDIO, KEYWORDS, SYNTHESIS, TEXT, cue_label

Outcome = Literal["accepted", "rejected", "refused", "unreadable"]
"""`accepted`: every rule holds and, for the openai writer, the validator agrees. `rejected`: a rule or the validator is
against it. `refused`: the model declined. `unreadable`: no reply could be parsed. The trainer reads `accepted` rows
only."""


Role = Literal["writer", "validator"]
Structured = Literal["tool", "json_schema", "text"]
"""How a question asks for the structure of the reply: by a forced tool call, a JSON schema, or in words."""
PROSE = ("text_analysis", "volume", "speed", "pitch", "tone", "synthesis")
"""The fields of `Reasoning` that are plain sentences."""


class ClassCue(BaseModel):
    """A class that listeners chose, and the cue in the clip that supports it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    category: str
    """Name of the class."""
    cue: str
    """The cue in one sentence."""


class Reasoning(BaseModel):
    """A structured chain of thought (ambiguity-aware LALM, Table 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    keywords: tuple[str, ...]
    """Salient acoustic and linguistic cues, with a few words each."""
    text_analysis: str
    """Step 1: the meaning of the words, and where they leave the emotion open."""
    volume: str
    """Step 2: loudness, in one sentence."""
    speed: str
    """Step 2: rate and pauses."""
    pitch: str
    """Step 2: height and movement of the voice."""
    tone: str
    """Step 2: the sound of the voice. All four are in professional terms, one sentence per field."""
    class_cues: tuple[ClassCue, ...]
    """Step 2: the cue for each class with votes, the class with most votes first."""
    synthesis: str
    """Step 3: the weight of the evidence, without a number or a vote count."""

    def as_text(self) -> str:
        """The text that the trainer puts between `<think>` and `</think>`: plain sentences with headings."""
        cues = " ".join(f"{cue_label(cue.category)} {cue.cue}" for cue in self.class_cues)
        return (
            f"{KEYWORDS} {', '.join(self.keywords)}.\n"
            f"{TEXT} {self.text_analysis}\n"
            f"{AUDIO} {self.volume} {self.speed} {self.pitch} {self.tone} {cues}\n"
            f"{SYNTHESIS} {self.synthesis}"
        )


class Usage(BaseModel):
    """Tokens and cost of one call, or the sum over several."""

    model_config = ConfigDict(frozen=True)
    prompt_tokens: int = 0
    """Tokens of text and sound that were sent."""
    audio_tokens: int = 0
    """Those of them that are sound."""
    completion_tokens: int = 0
    """Tokens of the reply."""
    cost_usd: float = 0.0
    """Cost in US dollars, by the prices that were given or known."""

    def plus(self, other: "Usage") -> "Usage":
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})


class Call(BaseModel):
    """One paid request and its reply."""

    model_config = ConfigDict(frozen=True)
    role: Role
    """Who was asked."""
    attempt: int
    """Number of the item's attempt that it belongs to, from 1."""
    reply: str
    """The unchanged body of the response. Parsing and judging start from it and can be repeated without payment."""
    structured: Structured
    """How the structure of the reply was asked for."""
    model: str
    """The model as the server names it; the requested model where the server names none."""
    request_id: str | None = None
    """The server's name of the request."""
    usage: Usage = Field(default_factory=Usage)
    """Tokens and cost of this call."""
    started: str
    """Time in UTC, ISO 8601."""
    finished: str
    """The same."""


class CurationRow(BaseModel):
    """One line of the JSON Lines file: an item's reasoning, its verdict and its origin."""

    model_config = ConfigDict(frozen=True)
    key: str
    """Content address: a hash of model, prompts, parameters, schema, target, transcript and audio bytes."""
    corpus: str
    """Name of the corpus."""
    id: str
    """Id of the item."""
    writer: Literal["openai", "acoustic"]
    """Who wrote the reasoning."""
    writer_version: str | None = None
    """Version of the acoustic writer's texts. None in its rows before version 4, and in those of the openai writer."""
    outcome: Outcome
    """Only `accepted` rows are trained on."""
    reasons: tuple[str, ...] = ()
    """Why the row was not accepted: rules with details, or the part that could not be read."""
    categories: tuple[str, ...]
    """The classes, in the corpus's order."""
    votes: tuple[float, ...]
    """Votes per class, in that order."""
    text: str | None = None
    """The transcript."""
    audio: str | None = None
    """Path of the clip relative to the corpus root."""
    reasoning: Reasoning | None = None
    """The reasoning in its parts; None where no reply could be read."""
    rationale: str | None = None
    """`reasoning.as_text()`, which the trainer reads. Present where the row is accepted, and only there."""
    validated_dist: tuple[float, ...] | None = None
    """The validator's prediction from the reasoning alone; None where no validator was asked (acoustic writer)."""
    js_bits: float | None = None
    """Jensen-Shannon divergence in bits between `validated_dist` and the votes."""
    measurements: dict[str, float] | None = None
    """Acoustic writer: the measurements that its sentences were made from."""
    model: str | None = None
    """The requested writer model; `calls` name the model that answered."""
    validator_model: str | None = None
    """The requested validator model."""
    calls: tuple[Call, ...] = ()
    """openai writer: every call in order, with its unchanged reply."""
    usage: Usage = Field(default_factory=Usage)
    """Sum over `calls`."""
    paid_usd: float = 0.0
    """Cost that this row added. It is less than the sum where the row judges replies of an earlier row again."""
    attempts: int = 1
    """How often the item was written."""
    started: str = ""
    """Time in UTC, ISO 8601."""
    finished: str = ""
    """The same."""


def active(votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Classes with votes, the one with most votes first, ties in the corpus's order."""
    order = sorted(range(len(votes)), key=lambda c: (-votes[c], c))
    return [categories[c] for c in order if votes[c] > 0]


def now() -> str:
    """Present time in UTC, ISO 8601 with milliseconds, as records state it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
