"""The trainings in a run's past, from what its folder and those of its starts keep."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.evaluation.effort import Effort, write_effort
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About, Results, evaluate_predictions
from lalm_ambig.evaluation.stages import UNKNOWN, Stage
from lalm_ambig.evaluation.trained_items import (
    FILE,
    TrainedItem,
    TrainedItems,
    TrainedRun,
    write_trained_items,
)
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.past import past_of_run, with_past

EFFORT = Effort(3, 2, 1.5, 1, tokens=40, device="cpu")


def entry(name: str, count: int) -> TrainedRun:
    items = [TrainedItem(f"i{n}", "train", None, "") for n in range(count)]
    chosen_by = TrainedItem("v", "validation", None, "")
    return TrainedRun(name, {"corpus": "demo"}, (*items, chosen_by))


def make_run(
    root: Path, name: str, count: int, *, start: Path | None = None, past: TrainedItems | None = None
) -> RunFolder:
    run = RunFolder(root / name)
    run.path.mkdir()
    run.config.write_text(yaml.safe_dump({"model": {"init_args": {"start": start and str(start)}}}))
    write_trained_items(run.path, (past or TrainedItems()).behind(entry(name, count)))
    write_effort(run.effort, replace(EFFORT, updates=count))
    return run


def stage(count: int) -> Stage:
    return Stage(count, entry("any", count).digest, replace(EFFORT, updates=count))


@pytest.fixture
def chain(tmp_path: Path) -> tuple[RunFolder, RunFolder, RunFolder]:
    """Three runs, each from the adapter or the folder of the one before."""
    first = make_run(tmp_path, "first", 5)
    first_record = TrainedItems((entry("first", 5),))
    second = make_run(tmp_path, "second", 4, start=first.adapter, past=first_record)
    third = make_run(tmp_path, "third", 2, start=second.path, past=first_record.behind(entry("second", 4)))
    return first, second, third


def test_a_past_has_the_run_first_and_then_its_starts(chain: tuple[RunFolder, ...]) -> None:
    assert past_of_run(chain[0]) == (stage(5),)
    assert past_of_run(chain[2]) == (stage(2), stage(4), stage(5))


def test_of_a_start_that_is_gone_the_items_are_known_and_the_effort_is_not(
    chain: tuple[RunFolder, ...],
) -> None:
    chain[1].path.rename(chain[1].path.with_name("moved"))
    assert past_of_run(chain[2]) == (stage(2), replace(stage(4), effort=None), replace(stage(5), effort=None))
    other = make_run(chain[1].path.parent, "second", 9)  # not the one that the run has started from
    write_trained_items(chain[2].path, TrainedItems((entry("third", 2), entry("renamed", 4))))
    assert other.effort.is_file()
    assert past_of_run(chain[2]) == (stage(2), replace(stage(4), effort=None))


def test_a_damaged_start_does_not_stop_a_run(chain: tuple[RunFolder, ...]) -> None:
    chain[1].effort.write_text("{")
    assert past_of_run(chain[2]) == (stage(2), replace(stage(4), effort=None), stage(5))
    chain[1].config.write_text("a: [")
    assert past_of_run(chain[2]) == (stage(2), replace(stage(4), effort=None), replace(stage(5), effort=None))


def test_what_an_older_version_did_not_keep_is_unknown(chain: tuple[RunFolder, ...]) -> None:
    first, second, third = chain
    write_trained_items(third.path, TrainedItems((entry("third", 2),), ("nothing is known of x",)))
    assert past_of_run(third) == (stage(2), UNKNOWN)
    for run in (first, second):
        (run.path / FILE).unlink()
    assert past_of_run(first) == (Stage(2, None, replace(EFFORT, updates=5)),)
    assert past_of_run(second) == (Stage(2, None, replace(EFFORT, updates=4)), UNKNOWN)
    first.effort.unlink()
    assert past_of_run(first) is None


def results(policy: str, readout: str = "logits") -> Results:
    rows = [Prediction(f"i{n}", "test", None, (1.0, 2.0), (1 / 3, 2 / 3), (0.5, 0.5)) for n in range(10)]
    about = About("demo", "test", readout, "direct", policy)
    return evaluate_predictions(rows, CategorySet(("a", "b")), about=about)


def test_older_results_get_the_past_of_their_row(chain: tuple[RunFolder, ...], tmp_path: Path) -> None:
    third, old = chain[2], results("tiny, third")
    expected = {"trained": (stage(2), stage(4), stage(5)), "start": (stage(4), stage(5)), "base": ()}
    for name, past in expected.items():
        assert with_past(old, third.evaluation(name)).about.training == past
    assert with_past(old, tmp_path / "ev").about.training is None
    assert with_past(old, tmp_path / "ev", run=third.path).about.training == expected["trained"]
    assert with_past(results("tiny, base"), tmp_path / "ev").about.training == ()
    assert with_past(results("prior", "none"), third.evaluation("prior")).about.training is None
    known = replace(old, about=replace(old.about, training=(UNKNOWN,)))
    assert with_past(known, third.evaluation("trained")) is known
