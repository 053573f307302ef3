"""The thought that a chat template opens, or has already closed, where it begins the model's turn.

Templates of reasoning models write `<think>` in the model's name, each family with a tag of its own. A tag is known by
its form, something in brackets, and by a name that speaks of thinking.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lalm_ambig.readouts.response import Tags

STEMS = "think|thought|reason|reflect|scratchpad|rationale|deliberat|ponder|analysis"
"""What the name of a tag around reasoning has in it."""
TAG = re.compile(
    rf"(?P<left><\||<｜|<|\[|◁|⟨|«)(?P<slash>/?)(?P<name>[\w:.\-]*?(?:{STEMS})[\w:.\-]*)(?P<right>\|>|｜>|>|\]|▷|⟩|»)",
    re.IGNORECASE,
)
ENDS = {"start": "end", "begin": "end", "open": "close", "bos": "eos"}
"""Words in the name of a tag that opens, and in that of the tag that closes what it opened."""
PLAIN = ("<reasoning>", "</reasoning>")
"""Around reasoning where the template has already written and closed the usual tags."""


@dataclass(frozen=True)
class Thought:
    """The last thought that a template begins."""

    open_tag: str
    close_tag: str
    opened: bool
    """Whether the model goes on inside it; if not, the template has closed it."""

    def tags(self, own: Tags) -> Tags:
        """Those tags of a response that go on from what the template began, so that none is doubled."""
        if self.opened:
            return replace(own, think_open=self.open_tag, think_close=self.close_tag, opened=True)
        if own.think_close == self.close_tag:
            return replace(own, think_open=PLAIN[0], think_close=PLAIN[1])
        return own


def find_thought(beginning: str, is_written: Callable[[str], bool]) -> Thought | None:
    """The thought in what a template begins the model's turn with; None where there is none.

    Args:
        beginning: How the model's turn begins in the prompt.
        is_written: Whether template or tokenizer know a tag of that form.
    """
    tags = list(TAG.finditer(beginning))
    if not tags:
        return None
    last = tags[-1]
    if _closes(last):
        return Thought("", last[0], opened=False)
    forms = list(_closing_forms(last))
    return Thought(last[0], next(filter(is_written, forms), forms[0]), opened=True)


def tag_at_end(text: str) -> str:
    """The tag around reasoning that a text ends with; empty where it ends otherwise."""
    tags = list(TAG.finditer(text))
    return tags[-1][0] if tags and not text[tags[-1].end() :].strip() else ""


def _words(tag: re.Match[str]) -> list[str]:
    return re.split(r"[_:.\-]", tag["name"].lower())


def _closes(tag: re.Match[str]) -> bool:
    return bool(tag["slash"]) or bool({*ENDS.values(), "stop", "finish"}.intersection(_words(tag)))


def _closing_forms(tag: re.Match[str]) -> Iterator[str]:
    """How the tag that closes may be written, the likeliest first."""
    left, name, right = tag["left"], tag["name"], tag["right"]
    for word in _words(tag):
        if word in ENDS:
            yield (
                left
                + re.sub(word, lambda found: _cased(ENDS[found[0].lower()], found[0]), name, flags=re.I)
                + right
            )
    yield f"{left}/{name}{right}"
    yield f"{left[0]}/{left[1:]}{name}{right}"
    for form in ("end_of_{}", "end_{}", "{}_end", "close_{}"):
        before, _, after = form.partition("{}")
        yield f"{left}{_cased(before, name)}{name}{_cased(after, name)}{right}"


def _cased(word: str, like: str) -> str:
    """The word in the case of another."""
    return word.upper() if like.isupper() else word
