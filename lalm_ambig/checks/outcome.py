"""The result of a check, one line in the table of `doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckResult:
    """The result of one check."""

    name: str
    ok: bool
    finding: str
    """The finding, with its numbers."""
    remedy: str = ""
    """Remedy; empty where the check passed."""


def check_result(name: str, ok: bool, finding: str, *, remedy: str) -> CheckResult:
    """A result that has its remedy only where the check failed."""
    return CheckResult(name, ok, finding, "" if ok else remedy)


def error_line(error: Exception) -> str:
    """An exception's kind and the first line of its message."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
