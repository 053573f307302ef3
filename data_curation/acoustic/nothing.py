"""What the acoustic writer says of a class that the voice does not support, and how to recognise it."""

NOTHING = (
    "little in the voice points there",
    "the prosody gives it little support",
    "the voice offers no plain cue",
)
NO_PROFILE = "no settled vocal pattern is known for it"


def found_nothing(cue: str) -> bool:
    """True for a cue in which this writer says that it found none."""
    return cue.startswith((*NOTHING, NO_PROFILE))
