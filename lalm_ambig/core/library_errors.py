"""Exceptions of libraries: which are about a user's settings, and which are a defect of ours."""

from pathlib import Path

from lalm_ambig.core.installation import frames, is_ours

SETTINGS = (ValueError, TypeError, KeyError, ImportError, ZeroDivisionError)
"""Exceptions that libraries raise for a setting that they do not accept."""
PARSERS = ("/jsonargparse/", "/lightning/pytorch/cli.py")
"""The libraries that settings are passed to."""
LIGHTNING = ("/lightning/pytorch/", "/lightning/fabric/")
MISUSE = "MisconfigurationException"
"""Lightning's exception for a user's mistake. It is known by its name, since its import would import Lightning."""


def misuse(error: BaseException) -> str | None:
    """Lightning's message about a user's mistake; None for every other exception.

    Lightning has an exception for such mistakes, but often raises ValueError or RuntimeError for them. One of these
    counts as a mistake if Lightning raises it itself, and has run no code of ours since we called it.
    """
    if MISUSE in (cls.__name__ for cls in type(error).__mro__):
        return first_line(error)
    files = _after_ours(error)
    raised = type(error) in (ValueError, RuntimeError) and bool(files) and _is_in(files[-1], LIGHTNING)
    return first_line(error) if raised and _is_in(files[0], LIGHTNING) else None


def over_settings(error: BaseException) -> str | None:
    """A library's message about a user's settings; None for an exception that may be a defect of ours.

    An exception is about the settings where the parser raised it while it made an object of them. No code of ours may
    have run in between.
    """
    if message := misuse(error):
        return message
    files = _after_ours(error)
    in_parser = isinstance(error, SETTINGS) and bool(files) and _is_in(files[0], PARSERS)
    return first_line(error) if in_parser else None


def _after_ours(error: BaseException) -> list[str]:
    """The files of the traceback after the last one of ours."""
    files = [file for file, _ in frames(error)]
    return files[max((n + 1 for n, file in enumerate(files) if is_ours(file)), default=0) :]


def _is_in(file: str, places: tuple[str, ...]) -> bool:
    return any(place in Path(file).as_posix() for place in places)


def first_line(error: BaseException) -> str:
    """First line of the error's message, with a full stop; the name of its class where it has no message."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if line.endswith((".", "!", "?")) else f"{line}."
