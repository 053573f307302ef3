"""Rule: the text has no markup, since it is put between a model's tags and must not open or close one."""

import re
from collections.abc import Sequence

from data_curation.records import Reasoning

MARKUP = re.compile(r"</?[A-Za-z][^>]*>|<\||\|>|```|\*\*|^#+ ", re.M)


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Quote each tag, special token or piece of Markdown."""
    pieces = {match.group() for match in MARKUP.finditer(reasoning.as_text())}
    return [f"holds markup: {text!r}" for text in sorted(pieces)]
