"""One line of `doctor`: what was checked, whether it holds, and what to do where it does not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """The result of one check."""

    name: str
    ok: bool
    finding: str
    """What was found, with its numbers."""
    remedy: str = ""
    """What to do; empty where the check passed."""


def outcome(name: str, ok: bool, finding: str, *, remedy: str) -> Outcome:
    """An outcome that carries its remedy only where it is needed."""
    return Outcome(name, ok, finding, "" if ok else remedy)
