"""Exceptions by which libraries speak of a user's settings, told from defects of ours."""

from pathlib import Path

from lalm_ambig.installation import frames, is_ours

SETTINGS = (ValueError, TypeError, KeyError, ImportError, ZeroDivisionError)
"""What libraries raise over a setting that they do not take."""
HAND_OVER = ("/jsonargparse/", "/lightning/pytorch/cli.py")
"""The libraries to which settings are handed over."""
MISUSE = "MisconfigurationException"
"""Lightning's word for a user's mistake, by its name: to import it would import Lightning."""


def misuse(error: BaseException) -> str | None:
    """What Lightning says of a user's mistake; None for every other exception."""
    return first_line(error) if MISUSE in (cls.__name__ for cls in type(error).__mro__) else None


def over_settings(error: BaseException) -> str | None:
    """What a library says while it takes our user's settings; None for what may be a defect of ours.

    An object that the parser makes of a configuration is about its settings, unless our own code is run by that.
    """
    if said := misuse(error):
        return said
    if not isinstance(error, SETTINGS):
        return None
    files = [Path(file) for file, _ in frames(error)]
    after_ours = files[max((n + 1 for n, file in enumerate(files) if is_ours(str(file))), default=0) :]
    handed_over = bool(after_ours) and any(part in after_ours[0].as_posix() for part in HAND_OVER)
    return first_line(error) if handed_over else None


def first_line(error: BaseException) -> str:
    """The first line of what it says, with a full stop; its kind where it says nothing."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return said if said.endswith((".", "!", "?")) else f"{said}."
