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


def is_well_formed(text: str, names: tuple[str, ...], *, reasoning: bool) -> bool:
    """Whether a response is `<think>…</think><answer>NAME</answer>`, with some reasoning, one of the names (in any
    case), each tag once and nothing beside them but white space; without `reasoning`, the answer alone."""
    answer = "|".join(re.escape(name.strip()) for name in names)
    thought = r"<think>(?P<thought>.*\S.*)</think>\s*" if reasoning else ""
    match = re.fullmatch(
        rf"\s*{thought}<answer>\s*(?:{answer})\s*</answer>\s*", text, re.DOTALL | re.IGNORECASE
    )
    if match is None:
        return False
    return not reasoning or not re.search(r"</?(?:think|answer)>", match["thought"])
