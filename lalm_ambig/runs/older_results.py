"""Results of older versions, which did not compare a test with the training items: the comparison is made now."""

from dataclasses import replace
from pathlib import Path

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.results import Results
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.past import EVALUATION, UNTRAINED, start_of
from lalm_ambig.runs.trained_items import overlap_of, record_of_run, record_of_start, refuse_trained


def with_overlap(results: Results, folder: Path, *, allow: bool) -> Results:
    """Return results that say which of their items the policy was trained on.

    Args:
        results: Of `folder/metrics.json`. If they say so already, they stay as they are.
        folder: A row of a run, or a folder of `evaluate`.
        allow: Mark items that were trained on, instead of refusing them.

    Raises:
        InputError: The policy was trained on some, and that is not allowed.
    """
    about = results.about
    if about.readout == "none" or about.trained_items is not None:
        return results
    overlap = _overlap(results, folder.resolve())
    refuse_trained(overlap, where=str(folder), allow=allow)
    about = replace(about, trained_items=overlap)
    return replace(results, about=about, notes=(*overlap.notes, *results.notes))


def _overlap(results: Results, folder: Path) -> Overlap:
    run = RunFolder(folder.parent.parent)
    if folder.parent.name == EVALUATION and run.config.is_file():
        return _of_run(run, folder.name, results)
    none = Overlap(0, 0, results.items)
    if results.about.policy.endswith(UNTRAINED):
        return none
    name = results.about.policy.rpartition(", ")[2]
    why = f"nothing says whether {name} was trained on these items: it was evaluated by an older version"
    return replace(none, unchecked=(why,))


def _of_run(run: RunFolder, row: str, results: Results) -> Overlap:
    """Return the overlap of a row of a run on its own test, which only the run's start can have seen."""
    none = Overlap(0, 0, results.items)
    try:
        if row == "base" or start_of(run) is None:
            return none
        cli = parse([f"--config={run.config}"])
        record = record_of_start(cli.model.start) if row == "start" else record_of_run(run)
        if not record.runs:
            return replace(none, unchecked=record.unknown)
        cli.datamodule.setup()
        return overlap_of(record, cli.datamodule, "test")
    except InputError as error:
        why = f"whether {run.path.name} was trained on these items cannot be checked: {error}"
        return replace(none, unchecked=(why,))
