"""What goes wrong in the middle of a run is one line, and what was written before is kept and gone on from."""

import re
import shutil
from pathlib import Path

import pytest
from small_runs import ForkServer, Whole, left, words


def errors(log: Path) -> list[str]:
    text = log.read_text()
    assert "Traceback" not in text, text
    return [line for line in text.splitlines() if line.startswith(("error:", "skipped:"))]


@pytest.mark.slow
def test_a_damaged_state_is_passed_over_for_the_one_before(
    server: ForkServer, whole: Whole, demo_root: Path, tmp_path: Path
) -> None:
    log, given = tmp_path / "log", words("sft", demo_root, tmp_path)
    assert server.run(given, log, kill=("step", 6)) == [-9]
    kept = sorted((tmp_path / "r/checkpoints").glob("step-*"))
    assert [path.name for path in kept] == ["step-00000002.ckpt", "step-00000004.ckpt"]
    kept[-1].write_bytes(kept[-1].read_bytes()[:-1000])
    assert server.run(given, log) == [0], log.read_text()
    assert f"{kept[-1]} is damaged and passed over" in log.read_text()
    assert f"resuming from {kept[0]}" in log.read_text()
    assert left(tmp_path / "r") == left(whole("sft", 1))


@pytest.mark.slow
def test_a_run_that_is_killed_again_as_it_takes_its_logs_up_loses_no_row(
    server: ForkServer, whole: Whole, demo_root: Path, tmp_path: Path
) -> None:
    log, given = tmp_path / "log", words("sft", demo_root, tmp_path)
    for kill in (("step", 6), ("logging", 1), ("step", 1)):
        assert server.run(given, log, kill=kill) == [-9]
    assert server.run(given, log) == [0], log.read_text()
    assert left(tmp_path / "r") == left(whole("sft", 1))


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_the_last_state(
    server: ForkServer, whole: Whole, demo_root: Path, tmp_path: Path
) -> None:
    log, given = tmp_path / "log", words("sft", demo_root, tmp_path)
    assert server.run(given, log, kill=("step", 4)) == [-9]
    before = {path: path.read_bytes() for path in (tmp_path / "r/checkpoints").iterdir()}
    assert server.run(given, log, largest=500_000) == [2], log.read_text()
    [line] = errors(log)
    assert re.search(r"checkpoints: cannot write step-00000004.ckpt: .* the last checkpoint is kept", line)
    assert {path: path.read_bytes() for path in (tmp_path / "r/checkpoints").iterdir()} == before
    assert server.run(given, log) == [0]
    assert left(tmp_path / "r") == left(whole("sft", 1))


@pytest.mark.slow
@pytest.mark.parametrize("world", [1, 2])
def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_items(
    world: int, server: ForkServer, whole: Whole, demo_root: Path, tmp_path: Path
) -> None:
    log, given = tmp_path / "log", words("sft", demo_root, tmp_path, world=world)
    assert server.run(given, log, world=world, nan=True) == [2] * world
    [line] = errors(log)
    assert re.search(r"the loss is not finite in a step with items (\w+, ){3}\w+\. Look at", line)
    assert server.run(given, log, world=world) == [0] * world
    assert left(tmp_path / "r") == left(whole("sft", world))


@pytest.mark.slow
def test_or_it_is_skipped(server: ForkServer, demo_root: Path, tmp_path: Path) -> None:
    log, given = tmp_path / "log", words("sft", demo_root, tmp_path, "--model.optimiser.not_finite=skip")
    assert server.run(given, log, nan=True) == [0], log.read_text()
    [line] = errors(log)
    assert line.startswith("skipped: ")
    assert "nan" not in (tmp_path / "r/evaluation/validation/trained/predictions.jsonl").read_text().lower()


def test_a_clip_that_is_gone_is_named(server: ForkServer, demo_root: Path, tmp_path: Path) -> None:
    corpus, log = tmp_path / "corpus", tmp_path / "log"
    shutil.copytree(demo_root, corpus)
    given = words("sft", corpus, tmp_path, "--data.cache_features=false")
    assert server.run(given, log, delete=str(corpus / "AudioWAV")) == [2], log.read_text()
    [line] = errors(log)
    assert re.search(r"AudioWAV/\w+\.wav", line)
