"""Rule: every class with votes has one cue, and only classes of the corpus have one."""

from collections import Counter
from collections.abc import Sequence

from data_curation.records import Reasoning, active
from lalm_ambig.core.categories import normal_form


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Name each class with votes and no cue, each unknown class, and each class with several cues."""
    cues = Counter(normal_form(cue.category) for cue in reasoning.class_cues)
    classes = {normal_form(name) for name in categories}
    missing = [name for name in active(votes, categories) if normal_form(name) not in cues]
    return [
        *(f"no cue for {name}" for name in missing),
        *(f"a cue for {name!r}, which is not a class here" for name in cues if name not in classes),
        *(f"{count} cues for {name}, one is expected" for name, count in cues.items() if count > 1),
    ]
