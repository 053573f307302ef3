"""The seconds of a training: steps that count, over every start of the run, without validations."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lalm_ambig.evaluation.effort import Effort, read_effort
from lalm_ambig.runs import effort
from lalm_ambig.runs.effort import EffortRecord
from lalm_ambig.runs.folder.run_folder import RunFolder


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def trainer(step: int = 0, *, sanity_checking: bool = False) -> Any:
    return SimpleNamespace(global_step=step, sanity_checking=sanity_checking)


def test_validations_lost_steps_and_time_between_starts_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(effort.time, "perf_counter", clock)
    run = RunFolder(tmp_path)
    record = EffortRecord(run, items=8)
    record.on_train_start(trainer(), None)
    clock.now += 3  # three seconds of steps
    record.on_validation_start(trainer(1), None)
    clock.now += 50
    record.on_validation_end(trainer(1), None)
    clock.now += 4
    saved = record.state_dict()
    assert saved == {"seconds": 7.0}
    clock.now += 1000  # killed: what came after the state is lost
    again = EffortRecord(run, items=8)
    again.load_state_dict(saved)
    clock.now += 500
    again.on_train_start(trainer(2), None)
    clock.now += 5
    again.on_train_end(trainer(3), None)
    assert read_effort(run.effort) == Effort(updates=3, items=8, seconds=12.0, processes=1)
    clock.now += 9
    assert again.elapsed_s() == 12.0


def test_a_sanity_check_before_training_is_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(effort.time, "perf_counter", clock)
    record = EffortRecord(RunFolder(tmp_path), items=1)
    record.on_validation_start(trainer(sanity_checking=True), None)
    clock.now += 5
    record.on_validation_end(trainer(sanity_checking=True), None)
    clock.now += 5
    assert record.elapsed_s() == 0.0
