"""Logs of a run that goes on: no row twice, none lost, and nothing of what a full disk or a power cut has left."""

import csv
import threading
from pathlib import Path

import pytest
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter

from lalm_ambig.core.errors import InputError
from lalm_ambig.runs import logs
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.logs import append_rows, quiet_writer_threads, rewind_logs, run_loggers

TABLE = "epoch,step,train/loss\r\n"


def steps(run: RunFolder) -> list[str]:
    with (run.path / "metrics.csv").open(newline="") as rows:
        return [row["step"] for row in csv.DictReader(rows)]


@pytest.mark.parametrize(
    "torn",
    ["", "0,1", "0,1,0.2", "0,12,0.25", "\0\0\0\0", "0,\0\0,1\r\n", "0,,0.1\r\n", "0,1\r\n", "\udcff\r\n"],
)
def test_a_table_keeps_the_whole_rows_of_steps_before_the_state(tmp_path: Path, torn: str) -> None:
    run = RunFolder(tmp_path)
    text = f"{TABLE}0,0,0.5\r\n0,1,0.4\r\n0,2,0.3\r\n{torn}"
    (tmp_path / "metrics.csv").write_bytes(text.encode(errors="surrogateescape"))
    rewind_logs(run, resumed_at=2)
    assert steps(run) == ["0", "1"]


def test_a_table_without_whole_rows_is_begun_anew(tmp_path: Path) -> None:
    for text in ("", TABLE, TABLE[:7], f"{TABLE}0,3,0.1\r\n"):
        (tmp_path / "metrics.csv").write_text(text, newline="")
        rewind_logs(RunFolder(tmp_path), resumed_at=3)
        assert not (tmp_path / "metrics.csv").exists()


@pytest.mark.parametrize("torn", ["", '{"step": 2, "id": "b', "\0\0\0", "[1]\n", '{"id": "b"}\n', "7\n"])
@pytest.mark.parametrize("name", ["samples.jsonl", "rollouts.jsonl"])
def test_responses_are_kept_up_to_the_state(tmp_path: Path, name: str, torn: str) -> None:
    first = '{"step": 2, "id": "ä\u2028"}\n'
    (tmp_path / name).write_text(f'{first}{{"step": 3, "id": "b"}}\n{torn}', encoding="utf-8")
    rewind_logs(RunFolder(tmp_path), resumed_at=2)
    assert (tmp_path / name).read_text(encoding="utf-8") == first
    rewind_logs(RunFolder(tmp_path), resumed_at=None)
    assert (tmp_path / name).read_text() == ""


def test_without_tensorboard_a_run_has_its_table_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    assert [type(logger).__name__ for logger in run_loggers(run, resumed_at=None)] == [
        "CSVLogger",
        "TensorBoardLogger",
    ]
    monkeypatch.setattr(logs, "find_spec", lambda _: None)
    assert [type(logger).__name__ for logger in run_loggers(run, resumed_at=None)] == ["CSVLogger"]


def test_rows_that_find_no_room_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"samples.jsonl: cannot be written: No space .* goes on from"):
        append_rows(tmp_path / "samples.jsonl", [{"step": 1}])


def test_a_writing_thread_without_room_raises_where_it_is_used_and_prints_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    printed = list[threading.ExceptHookArgs]()
    monkeypatch.setattr(threading, "excepthook", printed.append)
    before = threading.excepthook
    with quiet_writer_threads():
        writer = EventFileWriter(str(tmp_path))
        monkeypatch.setattr(RecordWriter, "write", full)
        with pytest.raises(OSError, match="No space"):
            for _ in range(100):
                writer._async_writer.write(b"event")
                writer.flush()
        writer._async_writer._worker.join()
    assert printed == []
    assert threading.excepthook is before
