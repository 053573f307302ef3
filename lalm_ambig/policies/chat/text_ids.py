"""Token ids of texts: of one that goes on from another, and of what others wrote, in which no control token counts.

A control token in an item's text is broken by a sentinel, which no text may hold. The chat is cut there before it is
tokenised, so that the token's parts become ordinary tokens and no sentinel is left.
"""

import re
from typing import Any

from lalm_ambig.core.errors import InputError

SENTINEL = "\ufdd0"
"""A Unicode noncharacter: it belongs to no text, and white space that a template strips does not include it."""
MARKS = frozenset("<>[]{}|")
"""An added token is a control token where it is special or has one of these; other added tokens are words."""


class Continuation:
    """Token ids of a text that goes on from another, also where the tokenizer would put a space before a beginning."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.line = self.alone("\n")
        self.spaced = self.alone("\na")[len(self.line) :] != self.alone("a")
        """Whether a space is put there, as by the tokenizers of Llama 2 and Mistral."""

    def __call__(self, text: str) -> list[int]:
        whole = self.alone("\n" + text) if self.spaced else []
        behind = whole[: len(self.line)] == self.line
        return whole[len(self.line) :] if self.spaced and behind else self.alone(text)

    def alone(self, text: str) -> list[int]:
        """Token ids of a text by itself, with no special token added around it."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


class TextIds:
    """Token ids of texts that may have been through `as_text`."""

    def __init__(self, tokenizer: Any) -> None:
        self.behind = Continuation(tokenizer)
        controls = control_tokens(tokenizer)
        self.controls = frozenset(controls)
        """Ids of the control tokens."""
        self.contents = sorted((token.content for token in controls.values()), key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, self.contents)) or "(?!)")
        self.normalises = any(token.normalized for token in controls.values())
        """Whether a control token may be met in another form than its own."""

    def as_text(self, text: str) -> str:
        """The text with each control token in it broken, so that it is tokenised as the text that it is.

        Raises InputError where the text holds the sentinel itself, or a control token in a form that cannot be broken.
        """
        if SENTINEL in text:
            raise InputError(
                f"the text holds U+{ord(SENTINEL):04X}, a code that Unicode keeps free of characters:",
                remedy="take it out.",
            )
        broken = text
        while self.pattern.search(broken):
            broken = self.pattern.sub(lambda found: found[0][0] + SENTINEL + found[0][1:], broken)
        if self.normalises and self.controls.intersection(self(broken)):
            raise InputError(
                f"the tokenizer takes a part of {text!r} for a control token:",
                remedy="take it out of the text.",
            )
        return broken

    def fence(self, before: str, after: str) -> str:
        """What must stand around a text that comes between these two, so that it never makes a control token of them.

        Empty nearly always: only behind something like `<` or before `>` could it.
        """
        for token in self.contents:
            for size in range(1, len(token)):
                if before.endswith(token[:size]) or after.startswith(token[-size:]):
                    return SENTINEL
        return ""

    def count(self, text: str) -> int:
        """How many control tokens stand in a text."""
        return len(self.pattern.findall(text))

    def __call__(self, text: str) -> list[int]:
        """Token ids of a text that goes on from another."""
        return [token for piece in text.split(SENTINEL) for token in self.behind(piece)]

    def from_start(self, text: str) -> list[int]:
        """Token ids of a text that begins the row."""
        first, *rest = text.split(SENTINEL)
        return [*self.behind.alone(first), *(token for piece in rest for token in self.behind(piece))]


def control_tokens(tokenizer: Any) -> dict[int, Any]:
    """The added tokens that steer a model, by id. One of a single character cannot be told from the character."""
    return {
        int(number): token
        for number, token in tokenizer.added_tokens_decoder.items()
        if len(token.content) > 1 and (token.special or MARKS.intersection(token.content))
    }
