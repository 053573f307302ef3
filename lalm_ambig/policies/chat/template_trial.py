"""The trial of a chat template: a probe text goes through it, in each form of content."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.chat.template import Template
from lalm_ambig.policies.chat.text_ids import SENTINEL
from lalm_ambig.policies.chat.thoughts import tag_at_end

PROBE = 'One line of a "probe" & its\nsecond line'
"""The user's text in a trial; it contains what a template might change."""
SHOWN = 80
"""Characters of a text that a message shows."""
ANSWER = "sadness"
"""The model's answer in a trial."""
Part = dict[str, str]
Form = Callable[[str], Any]
"""A function from a text to the content of a turn."""


def as_string(text: str) -> str:
    """Content as a string."""
    return text


def as_parts(text: str) -> list[Part]:
    """Content as a list of one part."""
    return [{"type": "text", "text": text}]


@dataclass(frozen=True)
class TemplateTrial:
    """The texts that a template makes of the probe."""

    user: Form
    before: tuple[dict[str, Any], ...]
    """The system's turn, where there is one."""
    answer: dict[str, Any]
    """The model's turn."""
    prompt: str
    """The user's turn, up to the start of the model's answer."""
    answered: str
    """Both turns."""
    begins: bool
    """Whether the template writes the beginning of the model's turn on request."""
    opening: str
    """That beginning, as far as it can be separated from the user's turn."""

    @property
    def tail(self) -> str:
        """The text after the user's text in every prompt."""
        return self.prompt.rpartition(PROBE)[2]

    @property
    def after_answer(self) -> str:
        """The text after the model's answer."""
        return self.answered.rpartition(ANSWER)[2]

    @property
    def lead(self) -> str:
        """The text between the prompt's end and an answer; empty if the answered turn does not continue the prompt."""
        before, _, _ = self.answered.rpartition(ANSWER)
        return before.removeprefix(self.prompt) if before.startswith(self.prompt) else ""


def first_trial(template: Template, system: str | None, *, hears: bool) -> TemplateTrial:
    """The trial of the first form of content that works.

    Raises:
        InputError: None works; the first failure is raised.
    """
    failures = []
    for user, answer, before in _ways(hears=hears):
        try:
            return _trial(template, user, (answer, before), system=system)
        except InputError as error:
            failures.append(error)
    raise failures[0]


def _ways(*, hears: bool) -> Iterator[tuple[Form, Form, Form]]:
    """Forms of the user's, the model's and the system's content; strings first, if a string is possible."""
    for user in (as_parts,) if hears else (as_string, as_parts):
        others = (as_string, as_parts) if hears or user is as_string else (as_parts, as_string)
        for answer, before in product(others, others):
            yield user, answer, before


def _trial(template: Template, user: Form, others: tuple[Form, Form], *, system: str | None) -> TemplateTrial:
    before = () if system is None else ({"role": "system", "content": others[1](system)},)
    turns = [*before, {"role": "user", "content": user(PROBE)}]
    answer = {"role": "assistant", "content": others[0](ANSWER)}
    answered, begun = template([*turns, answer], begin=False), template(turns, begin=True)
    _require(template, "the text that is put in", PROBE, answered)
    _require(template, "the model's answer", ANSWER, answered.rpartition(PROBE)[2])
    alone = _without_beginning(template, turns)
    prompt = answered_prompt(template, turns, answer) if begun == alone else begun
    _require(template, "the text that is put in", PROBE, prompt)
    if system is not None and system.strip() not in prompt:
        raise template.error(f"{describe_change(system.strip(), prompt, what='policy.system')}.")
    return TemplateTrial(
        user, before, answer, prompt, answered, begun != alone, _opening(prompt, alone or "")
    )


def _opening(prompt: str, alone: str) -> str:
    """The part of a prompt after the user's turn; if that is unknown, a tag at the prompt's end."""
    if alone and prompt != alone and prompt.startswith(alone):
        return prompt.removeprefix(alone)
    return tag_at_end(prompt.rpartition(PROBE)[2])


def _without_beginning(template: Template, turns: Sequence[dict[str, Any]]) -> str | None:
    """The turns without the beginning of the model's; None if the template refuses."""
    try:
        return template(turns, begin=False)
    except InputError:
        return None


def answered_prompt(template: Template, turns: Sequence[dict[str, Any]], answer: dict[str, Any]) -> str:
    """The prompt of a template that writes no beginning of the model's turn: the text before an answer.

    If the user's turn alone is as long or longer, it is the prompt. Blanks before the answer are left out, since the
    answer's first token has its own.
    """
    alone = template(turns, begin=False)
    before = template([*turns, answer], begin=False).rpartition(ANSWER)[0].rstrip(" \t")
    return alone if alone.startswith(before) else before


def _require(template: Template, what: str, text: str, rendered: str) -> None:
    """Refuse a template whose output does not contain a text exactly once."""
    times = rendered.count(text)
    if times != 1:
        how = f"writes {what} {times} times" if times else describe_change(text, rendered, what=what)
        raise template.error(f"{how}.")


def describe_change(text: str, rendered: str, *, what: str = "") -> str:
    """How a template treats a text that its output does not contain: it changes it or leaves it out."""
    word = max(re.findall(r"\w+", text), key=len, default="")
    verb = "changes" if word and word in rendered else "leaves out"
    return f"{verb} {what or repr(text.replace(SENTINEL, '')[:SHOWN])}"
