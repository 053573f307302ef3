"""A checkpoint's chat template: its further arguments, and its failures in one line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from lalm_ambig.core.errors import InputError

Turns = Sequence[Mapping[str, Any]]
TODAY = "2026-01-01"
"""Today's date for a template that asks for it, unless `policy.date` is set. No command reads the clock, so a run gives
the same numbers on any day."""
RESERVED = frozenset(
    {
        "conversation",
        "messages",
        "add_generation_prompt",
        "continue_final_message",
        "tokenize",
        "strftime_now",
    }
    | {"sanitize_control_tokens", "padding", "truncation", "max_length", "tokenizer_kwargs", "return_tensors"}
    | {"return_dict", "return_assistant_tokens_mask"}
)
"""Names of arguments that the project sets itself."""
NAMED = "chat_template"
"""The argument that chooses one of several templates by name."""
LETTERS = "aAbBcCdDefFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ"
"""Directives of strftime; each may have one of the flags before it."""
FLAGS = ("", "-", "_", "0")
PERCENT = "\ufdd1"


@dataclass(frozen=True)
class ChatSettings:
    """Arguments of a chat template beside the user's turn.

    Raises:
        InputError: `date` is no date, or an argument is one that the project sets itself.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments by name, such as `{enable_thinking: false}`."""
    date: str = TODAY
    """Today's date, for a template that asks for it (YYYY-MM-DD)."""
    system: str | None = None
    """Text of the system turn; None for no such turn, or the template's own."""

    def __post_init__(self) -> None:
        try:
            date.fromisoformat(self.date)
        except ValueError as error:
            raise InputError(
                f"{self.date!r} is no date ({error}):", where="policy.date", remedy=f"write it as {TODAY}."
            ) from error
        if reserved := sorted(RESERVED.intersection(self.arguments)):
            raise InputError(
                f"{reserved[0]!r} is set by the project:",
                where="policy.template_arguments",
                remedy="leave it out.",
            )


class Template:
    """A tokenizer's chat template, which makes one text of turns."""

    def __init__(self, tokenizer: Any, source: str, settings: ChatSettings) -> None:
        """Args:
            tokenizer: The checkpoint's tokenizer.
            source: The checkpoint's path, for messages.
            settings: Arguments beside the turns.

        Raises:
            InputError: There is no template, or it does not use one of the arguments.
        """
        self.tokenizer, self.source = tokenizer, source
        self.arguments = {name: value for name, value in settings.arguments.items() if name != NAMED}
        self.text = self._text(settings.arguments.get(NAMED))
        for name in self.arguments:
            if not re.search(rf"\b{re.escape(name)}\b", self.text):
                raise InputError(
                    f"the chat template of {source!r} does not use {name!r}:",
                    where="policy.template_arguments",
                    remedy="correct the name, or leave it out.",
                )
        self.asks_for_date = "strftime_now" in self.text
        self.dated = (
            with_fixed_date(self.text, date.fromisoformat(settings.date)) if self.asks_for_date else self.text
        )

    def _text(self, name: str | None) -> str:
        """The template's text.

        Raises:
            InputError: There is no template, or several without a default.
        """
        try:
            text = str(self.tokenizer.get_chat_template(name))
        except NotImplementedError as error:
            raise InputError(
                f"the tokenizer of {self.source!r}, a {type(self.tokenizer).__name__}, has no chat template to read:",
                where="policy.path",
                remedy="uninstall mistral-common, without which transformers reads another from the folder.",
            ) from error
        except ValueError:  # none, or several without a default, which is said below
            text = ""
        if not self.tokenizer.chat_template and name is None:
            raise InputError(
                f"{self.source!r} has no chat template, as base models have none:",
                where="policy.path",
                remedy="give an instruction-tuned checkpoint, or put a chat_template.jinja into its folder.",
            )
        several = self.tokenizer.chat_template
        names = sorted(several) if isinstance(several, dict) else []
        if names and (name or "default") not in names:
            raise InputError(
                f"{self.source!r} has {len(names)} chat templates and none called {name or 'default'!r}:",
                where="policy.path",
                remedy=f"set policy.template_arguments to {{{NAMED}: {names[0]}}}, or to another of "
                f"{', '.join(names)}.",
            )
        return text

    def __call__(self, turns: Turns, *, begin: bool) -> str:
        """The turns as text.

        Args:
            turns: The turns of the conversation.
            begin: Whether to end with the beginning of the model's turn, if the template can do that.

        Raises:
            InputError: The template's code fails; its own message is in the error.
        """
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    list(turns),
                    chat_template=self.dated,
                    tokenize=False,
                    add_generation_prompt=begin,
                    **self.arguments,
                )
            )
        except Exception as error:
            message = str(error).strip() or "no message"
            raise self.error(f"fails, {type(error).__name__}: {message.rstrip('.')}.") from error

    def error(self, what: str, *, remedy: str = "") -> InputError:
        """The error for a fault of the template, in one line."""
        return InputError(f"the chat template of {self.source!r} {what}", where="policy.path", remedy=remedy)

    def mentions(self, text: str) -> bool:
        """Whether the template or the tokenizer contains a tag."""
        return text in self.text or text in self.tokenizer.get_added_vocab()


def with_fixed_date(template: str, day: date) -> str:
    """The template with a `strftime_now` that gives midnight of this day instead of the clock's time.

    It is a macro, since transformers passes no functions to a template. Jinja leaves out the line break after it, so
    the template's output begins as before.
    """
    moment = datetime(day.year, day.month, day.day)
    values = {f"%{flag}{letter}": moment.strftime(f"%{flag}{letter}") for flag in FLAGS for letter in LETTERS}
    values["%s"] = str(int(moment.replace(tzinfo=UTC).timestamp()))
    written = {directive: value for directive, value in values.items() if directive in template}
    body = (
        f"{{% set told = namespace(text=format|replace('%%', {PERCENT!r})) %}}{_replacing(written)}"
        f"{{% if '%' in told.text %}}{_replacing(values)}{{% endif %}}"  # a form that the template puts together
        f"{{{{ told.text|replace({PERCENT!r}, '%') }}}}"
    )
    return f"{{% macro strftime_now(format) %}}{body}{{% endmacro %}}\n{template}"


def _replacing(values: Mapping[str, str]) -> str:
    """Template code that replaces directives by their values."""
    pairs = [[directive, value] for directive, value in values.items()]
    return (
        f"{{% for old, new in {pairs!r} %}}{{% set told.text = told.text|replace(old, new) %}}{{% endfor %}}"
    )
