"""Rule: the text states no number, share or count, so that a reader predicts the distribution from the evidence.

Text in double quotation marks is the speaker's words and may contain numbers.
"""

import re
from collections.abc import Sequence

from data_curation.records import Reasoning

_COUNT = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|half|none|all)"
_PARTS = r"(?:halves|thirds?|quarters?|fifths?|sixths?|eighths?|tenths?)"
_PEOPLE = r"(?:votes?|listeners?|raters?|annotators?|judges?|people|persons?|panel|observers?|respondents?)"
_OF = r"(?:out\s+)?(?:of|in)"
FORBIDDEN = (
    (re.compile(r"\d[\d.,:/]*\s*%?"), "a number"),
    (re.compile(r"\bper\s?cent(?:age)?s?\b|%", re.I), "a percentage"),
    (re.compile(rf"\b{_COUNT}\s+{_OF}\s+(?:the\s+)?(?:{_COUNT}|(?:\w+\s+)?{_PEOPLE})\b", re.I), "a count"),
    (re.compile(rf"\b(?!all\b|none\b){_COUNT}\s+(?:\w+\s+)?{_PEOPLE}\b", re.I), "a count"),
    (re.compile(rf"\b(?:one|two|three|four)[\s-]{_PARTS}\b", re.I), "a share"),
    (re.compile(r"\b(?:a|one)\s+(?:half|third|quarter|fifth|tenth)\s+of\b", re.I), "a share"),
)
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”')


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Quote the first number, percentage, share and count that the text states."""
    text = _QUOTED.sub(" ", reasoning.as_text())
    matches = ((what, pattern.search(text)) for pattern, what in FORBIDDEN)
    return [f"states {what}: {match.group().strip()!r}" for what, match in matches if match]
