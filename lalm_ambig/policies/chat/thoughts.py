"""The thought that a chat template opens, or has already closed, at the beginning of the model's turn.

Templates of reasoning models write `<think>` there, each family with its own tag. A tag is recognised by its form,
something in brackets, and by a name that contains a word for thinking.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lalm_ambig.readouts.response import Tags

STEMS = "think|thought|reason|reflect|scratchpad|rationale|deliberat|ponder|analysis"
"""Word stems in the name of a tag around reasoning."""
TAG = re.compile(
    rf"(?P<left><\||<｜|<|\[|◁|⟨|«)(?P<slash>/?)(?P<name>[\w:.\-]*?(?:{STEMS})[\w:.\-]*)(?P<right>\|>|｜>|>|\]|▷|⟩|»)",
    re.IGNORECASE,
)
ENDS = {"start": "end", "begin": "end", "open": "close", "bos": "eos"}
"""Words in the name of an opening tag, and in that of its closing tag."""
PLAIN = ("<reasoning>", "</reasoning>")
"""Tags around reasoning if the template has already written and closed the default ones."""


@dataclass(frozen=True)
class Thought:
    """The last thought that a template begins."""

    open_tag: str
    close_tag: str
    opened: bool
    """Whether the model continues inside it; if not, the template has closed it."""

    def tags(self, tags: Tags) -> Tags:
        """The tags of a response after what the template has begun, so that no tag is written twice."""
        if self.opened:
            return replace(tags, think_open=self.open_tag, think_close=self.close_tag, opened=True)
        if tags.think_close == self.close_tag:
            return replace(tags, think_open=PLAIN[0], think_close=PLAIN[1])
        return tags


def find_thought(beginning: str, is_written: Callable[[str], bool]) -> Thought | None:
    """The thought at the beginning of the model's turn; None if there is none.

    Args:
        beginning: The beginning of the model's turn in the prompt.
        is_written: Whether the template or the tokenizer contains a tag.
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
    """The tag around reasoning at a text's end; empty if there is none."""
    tags = list(TAG.finditer(text))
    return tags[-1][0] if tags and not text[tags[-1].end() :].strip() else ""


def _words(tag: re.Match[str]) -> list[str]:
    return re.split(r"[_:.\-]", tag["name"].lower())


def _closes(tag: re.Match[str]) -> bool:
    return bool(tag["slash"]) or bool({*ENDS.values(), "stop", "finish"}.intersection(_words(tag)))


def _closing_forms(tag: re.Match[str]) -> Iterator[str]:
    """Possible forms of the closing tag, the likeliest first."""
    left, name, right = tag["left"], tag["name"], tag["right"]
    for word in _words(tag):
        if word in ENDS:
            yield (
                left
                + re.sub(word, lambda match: _cased(ENDS[match[0].lower()], match[0]), name, flags=re.I)
                + right
            )
    yield f"{left}/{name}{right}"
    yield f"{left[0]}/{left[1:]}{name}{right}"
    for form in ("end_of_{}", "end_{}", "{}_end", "close_{}"):
        before, _, after = form.partition("{}")
        yield f"{left}{_cased(before, name)}{name}{_cased(after, name)}{right}"


def _cased(word: str, like: str) -> str:
    """A word in the case of another."""
    return word.upper() if like.isupper() else word
