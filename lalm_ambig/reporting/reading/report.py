"""What tables and figures are made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lalm_ambig.reporting.reading.corpora import Roots, Summaries
from lalm_ambig.reporting.reading.groups import Dataset, Group, find_group


@dataclass(frozen=True)
class Report:
    """Everything that was read, grouped by corpus, and what was asked to be shown of it."""

    groups: Sequence[Group]
    left_out: Sequence[str] = ()
    """Runs that could not be shown yet, one line each."""
    items: Sequence[str] = ()
    """Ids of items whose responses are to be shown; without any, some are picked."""
    corpora: Summaries = field(default_factory=dict)
    """What is in the corpora, where a table asks for that."""
    roots: Roots = field(default_factory=dict)

    def group(self, dataset: Dataset) -> Group | None:
        """The lines of a corpus or part; None without any."""
        return find_group(self.groups, dataset)
