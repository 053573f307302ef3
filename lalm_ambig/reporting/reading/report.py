"""The input of every table and figure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from lalm_ambig.reporting.reading.corpora import Roots, Summaries
from lalm_ambig.reporting.reading.groups import Dataset, Group, find_group


@dataclass(frozen=True)
class Report:
    """All results by corpus, and the choices of what to show."""

    groups: Sequence[Group]
    left_out: Sequence[str] = ()
    """Runs that could not be shown yet, one line each."""
    items: Sequence[str] = ()
    """Ids of items whose responses are shown; without any, `median_items` chooses them."""
    corpora: Summaries = field(default_factory=dict)
    """Summaries of the corpora, where a table needs them."""
    roots: Roots = field(default_factory=dict)

    def group(self, dataset: Dataset) -> Group | None:
        """The lines of a corpus or part; None without any."""
        return find_group(self.groups, dataset)
