"""Learns a server's dialect from the requests that it declines.

A server that does not accept a parameter answers 400 or 422, some 404, 500 or 501, some a 200 with an error inside. It
names the parameter in `param`, in `loc` or in its message. The first of our parameters that it names is left out, or
sent under its other name. Where it names none and has not answered yet, all parameters are tried in turn.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from data_curation.chat.dialect import FALLBACK, LIMITS, Dialect
from data_curation.chat.failures import CallError, Kind
from data_curation.questions import Question

DECLINING: tuple[Kind, ...] = ("invalid", "server", "unknown_model")
"""Kinds of failure that can be about a parameter."""
FEWEST_TOKENS = 64
"""Smallest number in a message that is read as a limit of tokens."""
_NOT_TAKEN = re.compile(
    r"(not|n't|un|isn.t) ?(currently |yet )?(be )?"
    r"(support|allow|permit|recogni|implement|enabled|available|accept)|"
    r"unknown|unexpected|extra[ _]?(inputs?|fields?|forbidden|param)|additional|"
    r"invalid[ _](param|arg|field|value|input|key|option)|"
    r"no endpoints|requires?\b|does not have|deprecated|only the default",
    re.IGNORECASE,
)
_UNNAMED = re.compile(r"param|arg(ument)?s?\b|field|propert|\binputs?\b|\bkeys?\b|option", re.IGNORECASE)
_TOO_LARGE = re.compile(
    r"too (large|high|big|many)|at most|less than|exceed|greater than|\brange|<=|≤", re.IGNORECASE
)
_MAXIMUM = re.compile(r"maximum|\bmax\b", re.IGNORECASE)
_LIMIT_NAMES = ("maxcompletiontokens", "maxtokens", "maxoutputtokens", "maxnewtokens", "completiontokens")


@dataclass(frozen=True)
class Lesson:
    """A changed dialect, from now on."""

    dialect: Dialect
    note: str
    """The parameter and the change, for a line to the user."""


@dataclass(frozen=True)
class _Step:
    """A parameter: the words that servers have for it, and the lesson that does without it."""

    words: tuple[str, ...]
    """Words in lower case, with letters and digits only."""
    lesson: Callable[[Dialect, Question], Lesson | None]


def learn(failure: CallError, question: Question, dialect: Dialect, *, answered: bool) -> Lesson | None:
    """The lesson of a failure.

    Args:
        failure: The failure.
        question: The question that failed.
        dialect: The dialect of the request.
        answered: Whether the server has answered a request in this dialect.

    Returns:
        The lesson; None where the failure is not about a parameter that can be changed.
    """
    evidence = failure.server_error.evidence or failure.server_error.message
    if failure.kind not in DECLINING or (failure.kind != "invalid" and not _NOT_TAKEN.search(evidence)):
        return None
    if _about_size(evidence):
        return _lower(evidence, question, dialect)
    for words in (failure.server_error.param, evidence):
        if (lesson := _first_named(_flat(words), question, dialect)) is not None:
            return lesson
    named = any(word in _flat(evidence) for step in STEPS for word in step.words)
    about_one = failure.kind == "invalid" and _NOT_TAKEN.search(evidence) and _UNNAMED.search(evidence)
    if named or not about_one or answered:
        return None
    lessons = (step(dialect, question) for step in UNNAMED_STEPS)
    return next((lesson for lesson in lessons if lesson is not None), None)


def without_structure(dialect: Dialect) -> Lesson | None:
    """The lesson of a reply without the structure, from a server that accepted the request; else None."""
    if not dialect.may_fall_back or dialect.structured not in FALLBACK:
        return None
    less = FALLBACK[dialect.structured]
    return Lesson(replace(dialect, structured=less), f"{dialect.structured}: {_ASKED[less]}")


def _first_named(flat: str, question: Question, dialect: Dialect) -> Lesson | None:
    """The lesson about the parameter that a text names first."""
    named = []
    for step in STEPS:
        places = [place for word in step.words if (place := flat.find(word)) >= 0]
        lesson = step.lesson(dialect, question) if places else None
        if lesson is not None:
            named.append((min(places), lesson))
    return min(named, key=lambda pair: pair[0])[1] if named else None


def _flat(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def _about_size(evidence: str) -> bool:
    """Whether the failure is about the value of the token limit."""
    size = _TOO_LARGE.search(evidence) or (_MAXIMUM.search(evidence) and not _NOT_TAKEN.search(evidence))
    return bool(size) and any(name in _flat(evidence) for name in _LIMIT_NAMES)


def _lower(evidence: str, question: Question, dialect: Dialect) -> Lesson | None:
    """The lesson with the largest number in the message below the sent limit; none where one item is too long."""
    if "context" in evidence.lower():
        return None
    numbers = [int(number) for number in re.findall(r"\d+", evidence.replace(",", ""))]
    fitting = [number for number in numbers if FEWEST_TOKENS <= number < dialect.tokens(question)]
    if not fitting:
        return None
    most = max(fitting)
    return Lesson(
        replace(dialect, most_tokens=most), f"more than {most} tokens in a reply: {most} are asked for"
    )


def _other_limit(dialect: Dialect, _: Question) -> Lesson | None:
    if dialect.limit is None:
        return None
    other = LIMITS[LIMITS.index(dialect.limit) + 1]
    if other is None and dialect.limit_needed:
        return None
    return Lesson(
        replace(dialect, limit=other), f"{dialect.limit}: {other or 'no limit of tokens'} is sent instead"
    )


def _max_tokens(dialect: Dialect, question: Question) -> Lesson | None:
    return _other_limit(dialect, question) if dialect.limit == LIMITS[0] else None


def _own_temperature(dialect: Dialect, _: Question) -> Lesson | None:
    if dialect.temperature is None:
        return None
    return Lesson(replace(dialect, temperature=None), "temperature: its own is used")


def _not_strict(dialect: Dialect, _: Question) -> Lesson | None:
    if dialect.structured != "json_schema" or not dialect.strict:
        return None
    return Lesson(replace(dialect, strict=False), "strict: the schema is sent without it")


def _other_choice(dialect: Dialect, _: Question) -> Lesson | None:
    """The lesson about `tool_choice`, where the user chose the tool; otherwise another structure is tried."""
    if dialect.may_fall_back or dialect.structured != "tool" or dialect.tool_choice is None:
        return None
    less: Literal["required"] | None = "required" if dialect.tool_choice == "named" else None
    note = 'tool_choice: "required" is sent' if less else "tool_choice: the tool is offered without it"
    return Lesson(replace(dialect, tool_choice=less), note)


def _other_structure(dialect: Dialect, _: Question) -> Lesson | None:
    return without_structure(dialect)


def _no_system(dialect: Dialect, _: Question) -> Lesson | None:
    if not dialect.system:
        return None
    return Lesson(replace(dialect, system=False), "system messages: they stand before the question")


def _silence(dialect: Dialect, question: Question) -> Lesson | None:
    if question.clip is not None or dialect.silence:
        return None
    return Lesson(
        replace(dialect, silence=True), "a question without sound: a second of silence goes with it"
    )


_ASKED = {
    "json_schema": "a JSON schema is sent as response_format",
    "text": "the structure is asked for in words",
}
_STRUCTURE = ("tool", "function", "responseformat", "jsonschema", "structured", "grammar", "guided")
STEPS = (
    _Step(_LIMIT_NAMES, _other_limit),
    _Step(("temperature",), _own_temperature),
    _Step(("strict", "additionalproperties"), _not_strict),
    _Step(("toolchoice",), _other_choice),
    _Step(_STRUCTURE, _other_structure),
    _Step(("systemrole", "systemmessage", "systemprompt", "developerinstruction", "rolesystem"), _no_system),
    _Step(("audio", "modalit"), _silence),
)
UNNAMED_STEPS = (_max_tokens, _own_temperature, _not_strict, _other_choice, _other_structure, _other_limit)
"""Lessons that are tried in turn where a server does not name the parameter."""
