"""The form of a response, `<think>…</think><answer>NAME</answer>`, and what one lacks of it."""

import re

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"


def curated_start(rationale: str | None) -> str:
    """The curated response up to the answer's place; without a rationale the answer comes at once."""
    return ANSWER_OPEN if rationale is None else f"{THINK_OPEN}{rationale}{THINK_CLOSE}{ANSWER_OPEN}"


def missing_end(text: str) -> str:
    """What must be appended to a response so that it reaches the answer's place; empty where it has.

    A tag of which the text already ends with a part is completed, not repeated.
    """
    if ANSWER_OPEN in text:
        return ""
    for present in range(len(ANSWER_OPEN) - 1, 1, -1):  # "<" alone may be the start of either tag
        if text.endswith(ANSWER_OPEN[:present]):
            return ANSWER_OPEN[present:]
    needed = ANSWER_OPEN if THINK_CLOSE in text or not text.strip() else THINK_CLOSE + ANSWER_OPEN
    for present in range(len(needed), 0, -1):
        if text.endswith(needed[:present]):
            return needed[present:]
    return needed


FORM = re.compile(
    r"\s*<think>(?P<thought>.*\S.*)</think>\s*<answer>[^<>]*[^<>\s][^<>]*</answer>\s*", re.DOTALL
)
TAG = re.compile(r"</?(?:think|answer)>")


def is_well_formed(text: str) -> bool:
    """Whether a response is `<think>…</think><answer>NAME</answer>`: some reasoning, some name, each tag once, nothing
    beside them but white space. Which name it is does not count: the distribution is read before it."""
    match = FORM.fullmatch(text)
    return match is not None and not TAG.search(match["thought"])
