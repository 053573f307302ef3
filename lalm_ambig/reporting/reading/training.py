"""What the lines of a report were trained on, and whether that was the same."""

from collections.abc import Sequence

from lalm_ambig.evaluation.stages import Past, data_notes
from lalm_ambig.reporting.reading.inputs import UNSEEDED
from lalm_ambig.reporting.reading.lines import Line


def trained_lines(lines: Sequence[Line]) -> list[Line]:
    """The lines of trained policies. A base model that is a merged run is one of them."""
    return [line for line in lines if any(pasts_of(line)) or line.method not in UNSEEDED]


def pasts_of(line: Line) -> list[Past | None]:
    """The trainings of each of its runs; None where they were not recorded."""
    return [row.results.about.training for row in line.rows]


def data_notes_of(lines: Sequence[Line]) -> list[str]:
    """Sentences on lines that were trained on different items, compared on the folds that all of them have."""
    trained = trained_lines(lines)
    folds = [{row.fold for row in line.rows} for line in trained]
    shared = set.intersection(*folds) if folds else set()
    return data_notes(
        {
            line.label: [row.results.about.training for row in line.rows if row.fold in shared or not shared]
            for line in trained
        }
    )
