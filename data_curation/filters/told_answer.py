"""Rule: the text argues from the clip, and never says that the writer knew the votes."""

import re
from collections.abc import Sequence

from data_curation.records import Reasoning

TOLD = re.compile(
    r"\b(?:votes?|voted|voters?|voting|annotat(?:or|ors|ion|ions|ed)|raters?|ground[\s-]truth|"
    r"(?:target|label|given|human|provided) (?:label )?distribution|(?:gold|majority|minority) label)\b",
    re.I,
)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Quote each word that reveals a source other than the clip and its transcript."""
    words = {match.group().lower() for match in TOLD.finditer(_QUOTED.sub(" ", reasoning.as_text()))}
    return [f"speaks of the answer it was given: {word!r}" for word in sorted(words)]
