"""Step 1: a remark on the words, made by rules for any English text. It never overstates."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from data_curation.acoustic.syllables import words_of
from data_curation.acoustic.terms import Pick

CHARGED = {
    "anger": "angry annoyed furious hate idiot mad outrageous rage shut stupid unacceptable",
    "contempt": "loser pathetic pitiful ridiculous worthless",
    "disgust": "awful disgusting filthy gross nasty revolting rotten sick sickening vile yuck",
    "fear": "afraid danger dangerous fear frightened help nervous scared terrified worried",
    "happiness": "amazing awesome beautiful congratulations delighted excited fantastic glad great happy "
    "love lovely perfect thrilled wonderful",
    "sadness": "alone cry crying died dead grief hurts lonely lost miss sad sorry tears unhappy",
    "surprise": "incredible oh suddenly surprise surprised surprising unbelievable unexpected wow",
}
"""Words with an emotional charge, by the class that they suggest."""
GISTS: tuple[tuple[str, str, str], ...] = (
    (r"\?\s*$", "question", "ask a question"),
    (r"!\s*$", "exclamation", "are exclaimed"),
    (
        r"^(?:please|don't|do not|let's|let me|stop|wait|look|listen|come|go)\b",
        "reminder",
        "give a direction",
    ),
    (r"\bwonder(?:ing)?\b", "musing", "muse about something unclear"),
    (r"\b(?:maybe|perhaps|might|probably|i think|i guess|i suppose)\b", "hedged wording", "are tentative"),
    (r"\b(?:would like|i'd like|i want|i wish|i hope)\b", "wish", "state a plain wish"),
    (r"\b(?:exactly|really|never|always|definitely|totally)\b", "emphatic wording", "stress a fact"),
    (r"\b(?:will|we'll|i'll|going to|on my way)\b", "announcement", "announce a plan"),
    (r"", "plain statement", "state an everyday fact"),
)
"""Pattern in the lower-case text, keyword, and description of the words. The first match counts."""
OPEN_ENDS = (
    "and name no feeling, so any of several moods fits them",
    "and carry no emotion of their own",
    "and leave the emotion open",
    "and settle nothing about the mood",
)
CHARGED_ENDS = (
    "though it could be meant otherwise",
    "yet the tone may turn that around",
    "if it is meant as said",
)
NEGATION = re.compile(r"\b(?:not|no|never|nothing|hardly)\b|n't\b")


@dataclass(frozen=True)
class Remark:
    """Keyword and sentence about the words."""

    keyword: str
    sentence: str


def remark_on(text: str | None, keys: Collection[str], *, pick: Pick) -> Remark:
    """A remark on a transcript.

    Args:
        text: The transcript; None where there is none.
        keys: Canonical keys of the corpus's classes; a charged word can suggest only one of these.
        pick: Chooses among wordings.
    """
    if text is None or not words_of(text):
        return Remark("no transcript", "No transcript is given, so only the voice can decide.")
    lowered = text.lower().replace("’", "'")
    charged = None if NEGATION.search(lowered) else _charged_word(text, keys)
    if charged is not None:
        word, key = charged
        return Remark("charged wording", f'The word "{word}" suggests {key}, {pick(CHARGED_ENDS)}.')
    _, keyword, gist = next(entry for entry in GISTS if re.search(entry[0], lowered))
    return Remark(keyword, f"The words {gist} {pick(OPEN_ENDS)}.")


def _charged_word(text: str, keys: Collection[str]) -> tuple[str, str] | None:
    """The first charged word, and the class that it suggests."""
    charges = {word: key for key, words in CHARGED.items() if key in keys for word in words.split()}
    return next(((word, charges[word]) for word in words_of(text) if word in charges), None)
