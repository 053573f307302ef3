"""What becomes of a row that cannot be read: it stops the reading, or it is counted, listed and left out."""

from lalm_ambig.errors import InputError

SHOWN = 10
"""Bad rows that a note lists; the others are counted."""
REMEDY = "--data.skip_bad_rows true (or --option skip_bad_rows=true) leaves such rows out and lists them."


class BadRows:
    """The malformed rows of one reading of a corpus."""

    def __init__(self, *, skip: bool) -> None:
        """
        Args:
            skip: Leave bad rows out; False makes the first one an error.
        """
        self.skip = skip
        self.lines: list[str] = []

    def add(self, what: str, *, where: str, remedy: str = REMEDY) -> None:
        """Take note of a bad row; InputError with its place and the remedy where rows must all be good."""
        if not self.skip:
            raise InputError(f"{what}.", where=where, remedy=remedy)
        self.lines.append(f"{where}: {what}")

    def notes(self, *, kept: int) -> list[str]:
        """Lines for the user: how many rows were left out, and the first of them; none where all were good."""
        if not self.lines:
            return []
        notes = [f"{len(self.lines):,} bad rows left out ({kept:,} kept):", *self.lines[:SHOWN]]
        more = len(self.lines) - SHOWN
        return [*notes, f"and {more:,} more"] if more > 0 else notes
