"""The part of a prompt that asks for one annotator's answer: who it is, and what this annotator answered elsewhere.

It is in the place of {annotator}, on a line of its own. A prompt without one has it before the item's text, so that all
prompts still begin with the same words.
"""

from collections.abc import Sequence

ANNOTATOR = "{annotator}"
LONGEST_LINE = 240
"""Most characters of a line of an earlier item's text; the rest is cut."""
ASKED = "Answer for one annotator alone, {name}: give this person's own choice, not that of the others."
KNOWN = "Known of {name}: {profile}"
EARLIER = "What {name} chose for other items, the most similar one last:"


def annotator_section(name: str, *, profile: str | None, earlier: Sequence[tuple[str, str]]) -> str:
    """The lines about an annotator.

    Args:
        name: The annotator.
        profile: What the corpus says of this person; None for nothing.
        earlier: Text and choice of other items, the most similar one last.

    >>> print(annotator_section("Ann1", profile="Age: 26", earlier=[("Oh, sure.", "yes")]))
    Answer for one annotator alone, Ann1: give this person's own choice, not that of the others.
    Known of Ann1: Age: 26
    What Ann1 chose for other items, the most similar one last:
    - Oh, sure. => yes
    """
    lines = [ASKED.format(name=name)]
    lines += [] if profile is None else [KNOWN.format(name=name, profile=profile)]
    lines += [EARLIER.format(name=name)] if earlier else []
    return "\n".join([*lines, *(f"- {on_one_line(text)} => {choice}" for text, choice in earlier)])


def on_one_line(text: str) -> str:
    r"""A text on one line, each of its lines cut after LONGEST_LINE characters.

    >>> on_one_line("Post: Nice weather.\nReply: Oh, sure.")
    'Post: Nice weather. / Reply: Oh, sure.'
    """
    lines = (" ".join(line.split()) for line in text.splitlines())
    return " / ".join(
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}…" for line in lines if line
    )


def with_annotator(template: str) -> str:
    r"""A prompt that has a place for {annotator}: its own, or one before the item's text.

    >>> with_annotator("Judge.\n{text}")
    'Judge.\n{annotator}\n{text}'
    """
    if ANNOTATOR in template:
        return template
    lines = template.split("\n")
    place = next((number for number, line in enumerate(lines) if "{text}" in line), len(lines))
    return "\n".join([*lines[:place], ANNOTATOR, *lines[place:]])
