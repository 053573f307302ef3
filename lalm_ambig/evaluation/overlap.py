"""The share of a test set that a policy was trained on, as results hold it and tables say it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Overlap:
    """The items of a test set that a policy, or a run that it goes on from, was trained on or chosen by."""

    items: int
    """Items that were trained on, or by which a checkpoint was chosen."""
    speakers: int
    """Other items whose speaker was trained on, in a split that keeps speakers apart."""
    of: int
    """All items of the test set."""
    runs: tuple[str, ...] = ()
    """Names of the runs that were trained on them."""
    unchecked: tuple[str, ...] = ()
    """Comparisons with a run's items that cannot be made, one line each."""
    duplicates: tuple[str, ...] = ()
    """Texts and clips of the test that training items of the corpus's split have too: no fault of the run."""

    @property
    def is_leaky(self) -> bool:
        """Whether results on these items are no test."""
        return self.items + self.speakers > 0

    @property
    def mark(self) -> str:
        """A few words to go beside a row's name; empty for a test."""
        trained = f"{self.items} of {self.of} items trained on" if self.items else ""
        heard = f"{self.speakers} of {self.of} items by trained speakers" if self.speakers else ""
        return ", ".join(filter(None, (trained, heard)))

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes below a table, each without a full stop."""
        notes = [*self.unchecked]
        if self.is_leaky:
            notes.insert(0, f"NOT A TEST: {self.what}")
        return tuple(notes)

    @property
    def what(self) -> str:
        """The overlap as a clause: how many items, which runs."""
        runs = f"run{'s' if len(self.runs) > 1 else ''} {', '.join(self.runs)}"
        parts = []
        if self.items:
            parts.append(
                f"{runs} trained on {self.items} of the {self.of} items, or chose the checkpoint by them"
            )
        if self.speakers:
            others = "other items" if self.items else f"of the {self.of} items"
            parts.append(
                f"{self.speakers} {others} are by speakers that it was trained on"
                if self.items
                else f"{self.speakers} {others} are by speakers that {runs} was trained on"
            )
        return "; ".join(parts)


def marked_name(name: str, overlap: Overlap | None) -> str:
    """A row's name, followed by the mark that it is no test."""
    return name if overlap is None or not overlap.is_leaky else f"{name} ({overlap.mark})"
