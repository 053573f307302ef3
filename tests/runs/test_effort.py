"""The seconds of a training: steps that count, over every start of the run, without validations."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

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
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(global_step=step, sanity_checking=sanity_checking, strategy=strategy)


def method(tokens: int = 0) -> Any:
    return SimpleNamespace(tokens=tokens)


def test_validations_lost_steps_and_time_between_starts_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(effort.time, "perf_counter", clock)
    run = RunFolder(tmp_path)
    record = EffortRecord(run, items=8)
    counting = method()
    record.on_train_start(trainer(), counting)
    clock.now += 3  # three seconds of steps
    record.on_validation_start(trainer(1), None)
    clock.now += 50
    record.on_validation_end(trainer(1), None)
    clock.now += 4
    counting.tokens = 50
    saved = record.state_dict()
    assert saved == {"seconds": 7.0, "tokens": 50}
    counting.tokens = 90
    clock.now += 1000  # killed: what came after the state is lost
    again = EffortRecord(run, items=8)
    again.load_state_dict(saved)
    clock.now += 500
    again.on_train_start(trainer(2), method(7))
    clock.now += 5
    again.on_train_end(trainer(3), None)
    assert read_effort(run.effort) == Effort(3, 8, 12.0, processes=1, tokens=57, device="cpu")
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


def test_tokens_are_those_of_all_processes_and_earlier_ones_count_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort.distributed, "all_gather_object", lambda value: [value, value + 1, 4])
    record = EffortRecord(RunFolder(tmp_path), items=1)
    record.load_state_dict({"seconds": 1.0, "tokens": 100})
    record.on_train_start(trainer(), method(10))
    assert record.tokens() == 100 + 10 + 11 + 4


def test_tokens_of_a_run_that_an_older_version_began_are_not_known(tmp_path: Path) -> None:
    record = EffortRecord(RunFolder(tmp_path), items=1)
    record.load_state_dict({"seconds": 1.0})
    record.on_train_start(trainer(), method(10))
    assert record.state_dict()["tokens"] is None
    record.on_train_end(trainer(3), None)
    kept = read_effort(RunFolder(tmp_path).effort)
    assert kept is not None and kept.tokens is None and kept.updates == 3
