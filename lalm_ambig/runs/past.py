"""The trainings in a policy's past, read from run folders: the items of each, and what it took."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.effort import Effort, read_effort
from lalm_ambig.evaluation.results import Results
from lalm_ambig.evaluation.stages import UNKNOWN, Past, Stage
from lalm_ambig.evaluation.trained_items import TrainedItems, read_trained_items
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.loading import Loaded
from lalm_ambig.runs.trained_items import record_of_base

EVALUATION = "evaluation"
UNTRAINED = ", base"
"""End of the line on a policy that `evaluate` has read without a run."""


def past_of_run(run: RunFolder) -> Past | None:
    """Return the trainings of a run's policy: its own, then those of the runs that it goes on from.

    Nothing is computed anew. So of a run of an older version, items or efforts can be unknown.

    Returns:
        None where the run keeps nothing of it.
    """
    places = (run.path, run.adapter)
    record = next((one for place in places if (one := read_trained_items(place)) is not None), None)
    if record is not None and record.runs:
        return _stages(record, _efforts(run, [entry.name for entry in record.runs]))
    effort = read_effort(run.effort)
    if effort is None:
        return None
    own = Stage(effort.items, None, effort)
    return (own,) if start_of(run) is None else (own, UNKNOWN)


def past_of_policy(loaded: Loaded) -> Past | None:
    """Return the trainings of the policy of a command; none for a base model, unless its folder says otherwise."""
    if loaded.run is not None:
        return past_of_run(loaded.run)
    record = record_of_base(loaded.model.policy)
    return _stages(record, [None] * len(record.runs))


def with_past(results: Results, folder: Path, *, run: Path | None = None) -> Results:
    """Return results that say what the policy was trained on. If they say so already, they stay as they are.

    Args:
        results: Of `folder/metrics.json`.
        folder: A row of a run, or a folder of `evaluate`.
        run: The run that trained the policy, where it is known and the folder is not below it.
    """
    about = results.about
    if about.readout == "none" or about.training is not None:
        return results
    return replace(results, about=replace(about, training=_past(results, folder.resolve(), run)))


def _past(results: Results, folder: Path, run: Path | None) -> Past | None:
    of_folder = RunFolder(folder.parent.parent)
    if folder.parent.name == EVALUATION and of_folder.config.is_file():
        if folder.name == "base":
            return ()
        past = past_of_run(of_folder)
        return past if past is None or folder.name != "start" else past[1:]
    if run is not None:
        return past_of_run(RunFolder(run))
    return () if results.about.policy.endswith(UNTRAINED) else None


def _stages(record: TrainedItems, efforts: Sequence[Effort | None]) -> Past:
    stages = [
        Stage(len({item.id for item in entry.trained}), entry.digest, effort)
        for entry, effort in zip(record.runs, efforts, strict=True)
    ]
    return (*stages, UNKNOWN) if record.unknown else tuple(stages)


def _efforts(run: RunFolder, names: Sequence[str]) -> list[Effort | None]:
    """What each run of a chain of starts took; None where its folder is gone, or is of another run."""
    found: list[Effort | None] = [read_effort(run.effort)]
    at: RunFolder | None = run
    for name in names[1:]:
        effort = None
        with suppress(InputError):  # a file of the start is damaged
            at = None if at is None else run_of_start(at)
            if at is not None and at.path.resolve().name == name:
                effort = read_effort(at.effort)
        found.append(effort)
    return found


def run_of_start(run: RunFolder) -> RunFolder | None:
    """Return the folder of the run that a run goes on from; None without one, and where it is gone."""
    start = start_of(run)
    if start is None:
        return None
    places = (RunFolder(start), RunFolder(start.absolute().parent))
    return next((place for place in places if place.config.is_file()), None)


def start_of(run: RunFolder) -> Path | None:
    """Return `model.start` of a run's configuration, without opening it; None where that has none.

    Raises:
        InputError: The configuration cannot be read.
    """
    try:
        start = read_yaml(run.config)["model"]["init_args"]["start"]
    except (KeyError, TypeError):
        return None
    return None if start is None else Path(str(start)).expanduser()
