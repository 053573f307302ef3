"""One-label readout: the class that a response names in its answer, as people ask chat models that show no logits.

An answer is read by these rules, which are ours:

1. It is the text after the first `<answer>`, up to the next tag or to the end. Inside an open thought there is none.
2. It names a class if it is the class's word, in any case and Unicode form, with any white space around it.
3. Nothing is guessed. Any other text names no class, and the response counts as unread.
"""

from typing import Literal

from lalm_ambig.core.categories import CategorySet, normal_form
from lalm_ambig.readouts.response import Tags

Unread = Literal["no answer", "no class name"]
"""Why a response names no class. `no answer`: it has no `<answer>`. `no class name`: the answer is something else."""


def class_named(text: str, categories: CategorySet, tags: Tags) -> int | Unread:
    """The index of the class that a response names, or why it names none.

    Args:
        text: The response.
        categories: The classes; their words are the verbalisers.
        tags: The tags around reasoning and answer.

    >>> from lalm_ambig.readouts.response import TAGS
    >>> classes = CategorySet(("joy", "fear"))
    >>> class_named("<think>low voice</think><answer> Fear</answer>", classes, TAGS)
    1
    >>> class_named("<answer>joyful</answer>", classes, TAGS)
    'no class name'
    """
    _, opened, answer = tags.outside_thought(text).partition(tags.answer_open)
    if not opened:
        return "no answer"
    words = [normal_form(verbaliser) for verbaliser in categories.verbalisers]
    word = normal_form(answer.partition("<")[0])
    return words.index(word) if word in words else "no class name"
