"""Exceptions by which libraries speak of a user's settings, told from defects of ours."""

from pathlib import Path

from lalm_ambig.core.installation import frames, is_ours

SETTINGS = (ValueError, TypeError, KeyError, ImportError, ZeroDivisionError)
"""What libraries raise over a setting that they do not take."""
PARSERS = ("/jsonargparse/", "/lightning/pytorch/cli.py")
"""The libraries to which settings are handed over."""
LIGHTNING = ("/lightning/pytorch/", "/lightning/fabric/")
MISUSE = "MisconfigurationException"
"""Lightning's word for a user's mistake, by its name: to import it would import Lightning."""


def misuse(error: BaseException) -> str | None:
    """What Lightning says of a user's mistake; None for every other exception.

    It has a word for that, and often says ValueError or RuntimeError all the same: where it raises one itself, and has
    run nothing of ours since we called it, that is about what the run was set to.
    """
    if MISUSE in (cls.__name__ for cls in type(error).__mro__):
        return first_line(error)
    files = _after_ours(error)
    raised = type(error) in (ValueError, RuntimeError) and bool(files) and _is_in(files[-1], LIGHTNING)
    return first_line(error) if raised and _is_in(files[0], LIGHTNING) else None


def over_settings(error: BaseException) -> str | None:
    """What a library says while it takes our user's settings; None for what may be a defect of ours.

    An object that the parser makes of a configuration is about its settings, unless our own code is run by that.
    """
    if said := misuse(error):
        return said
    files = _after_ours(error)
    handed_over = isinstance(error, SETTINGS) and bool(files) and _is_in(files[0], PARSERS)
    return first_line(error) if handed_over else None


def _after_ours(error: BaseException) -> list[str]:
    """The files that an error came through after the last of ours."""
    files = [file for file, _ in frames(error)]
    return files[max((n + 1 for n, file in enumerate(files) if is_ours(file)), default=0) :]


def _is_in(file: str, places: tuple[str, ...]) -> bool:
    return any(place in Path(file).as_posix() for place in places)


def first_line(error: BaseException) -> str:
    """The first line of what it says, with a full stop; its kind where it says nothing."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return said if said.endswith((".", "!", "?")) else f"{said}."
