"""Token ids of texts that continue others, and of texts of others, in which no control token counts.

A control token in an item's text is broken by a sentinel, which no text may contain. The chat is cut at sentinels
before it is tokenised, so that the token's parts become ordinary tokens and no sentinel is left.
"""

import re
from typing import Any

from lalm_ambig.core.errors import InputError

SENTINEL = "\ufdd0"
"""A Unicode noncharacter: it belongs to no text, and white space that a template strips does not include it."""
MARKS = frozenset("<>[]{}|")
"""An added token is a control token if it is special or contains one of these; other added tokens are words."""


class Continuation:
    """Token ids of a text that continues another, also if the tokenizer puts a space before a beginning."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.line = self.alone("\n")
        self.spaced = self.alone("\na")[len(self.line) :] != self.alone("a")
        """Whether the tokenizer puts a space before a beginning, as those of Llama 2 and Mistral do."""

    def __call__(self, text: str) -> list[int]:
        after_line = self.alone("\n" + text) if self.spaced else []
        separable = after_line[: len(self.line)] == self.line
        return after_line[len(self.line) :] if self.spaced and separable else self.alone(text)

    def alone(self, text: str) -> list[int]:
        """Token ids of a text by itself, without special tokens around it."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


class TextIds:
    """Token ids of texts that may have been through `as_text`."""

    def __init__(self, tokenizer: Any) -> None:
        self.continuation = Continuation(tokenizer)
        controls = control_tokens(tokenizer)
        self.controls = frozenset(controls)
        """Ids of the control tokens."""
        self.contents = sorted((token.content for token in controls.values()), key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, self.contents)) or "(?!)")
        self.normalises = any(token.normalized for token in controls.values())
        """Whether the tokenizer may recognise a control token in another spelling."""

    def as_text(self, text: str) -> str:
        """The text with each control token broken, so that it is tokenised as plain text.

        Raises:
            InputError: The text contains the sentinel, or a control token in a spelling that cannot be broken.
        """
        if SENTINEL in text:
            raise InputError(
                f"the text holds U+{ord(SENTINEL):04X}, a code that Unicode keeps free of characters:",
                remedy="take it out.",
            )
        broken = text
        while self.pattern.search(broken):
            broken = self.pattern.sub(lambda match: match[0][0] + SENTINEL + match[0][1:], broken)
        if self.normalises and self.controls.intersection(self(broken)):
            raise InputError(
                f"the tokenizer takes a part of {text!r} for a control token:",
                remedy="take it out of the text.",
            )
        return broken

    def fence(self, before: str, after: str) -> str:
        """The string to put around a text between these two, so that no control token arises across their borders.

        It is empty except after something like `<` or before something like `>`.
        """
        for token in self.contents:
            for size in range(1, len(token)):
                if before.endswith(token[:size]) or after.startswith(token[-size:]):
                    return SENTINEL
        return ""

    def count(self, text: str) -> int:
        """Number of control tokens in a text."""
        return len(self.pattern.findall(text))

    def __call__(self, text: str) -> list[int]:
        """Token ids of a text that continues another."""
        return [token for piece in text.split(SENTINEL) for token in self.continuation(piece)]

    def from_start(self, text: str) -> list[int]:
        """Token ids of a text that begins the row."""
        first, *rest = text.split(SENTINEL)
        return [
            *self.continuation.alone(first),
            *(token for piece in rest for token in self.continuation(piece)),
        ]


def control_tokens(tokenizer: Any) -> dict[int, Any]:
    """The added tokens that steer a model, by id; those of a single character are left out, as plain characters."""
    return {
        int(number): token
        for number, token in tokenizer.added_tokens_decoder.items()
        if len(token.content) > 1 and (token.special or MARKS.intersection(token.content))
    }
