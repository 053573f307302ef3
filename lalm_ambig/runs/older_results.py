"""Results from before a test was compared with what its policy was trained on: compared now, where that can be done."""

from dataclasses import replace
from pathlib import Path

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.results import Results
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.trained_items import overlap_of, record_of_run, record_of_start, refuse_trained

EVALUATION = "evaluation"
UNTRAINED = ", base"
"""How the line on a policy ends that evaluate has read without any run."""


def with_overlap(results: Results, folder: Path, *, allow: bool) -> Results:
    """Results that say what of their items the policy was trained on, whether they said so before or not.

    Args:
        results: Of `folder/metrics.json`.
        folder: A row of a run, or what evaluate wrote.
        allow: Mark items that were trained on instead of refusing them.

    What was marked when it was evaluated stays so. InputError for what was not, and is no test.
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
    """A row of a run on its own test: only what the run goes on from can have seen that."""
    none = Overlap(0, 0, results.items)
    try:
        if row == "base" or _start(run) is None:
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


def _start(run: RunFolder) -> object:
    """What a run's configuration starts from, without opening it."""
    try:
        return read_yaml(run.config)["model"]["init_args"]["start"]
    except (KeyError, TypeError):
        return None
