"""The command: what it refuses in one line, what it prints, what it lets through, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ended import ended
from hostile import sound_file, tone
from live import BOUNDARY, form

import lalm_ambig
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.inference.model import Model, load
from lalm_ambig.serving.examples import examples_of

ROOT = Path(lalm_ambig.__path__[0]).parent
WATCH = """
import os, sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {arguments[-1] if event == 'socket.connect' else arguments[0]}\\n")
sys.addaudithook(hook)
"""
"""Writes down what a process connects to, or asks the address of."""


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "serve: missing: run."),
        (["x", "--port", "70000"], "--port: expected 0 to 65,535, got 70000."),
        (["x", "--port", "http"], "--port: expected a whole number, got 'http'."),
        (["x", "--prt", "1"], "unknown option --prt: did you mean --port?"),
        (["x", "--queue", "0"], "--queue: expected 1 to 100,000, got 0."),
        (["x", "--max-upload-mb", "nan"], "--max-upload-mb: expected 0.001 to 1,024, got nan."),
        (["x", "--max-duration-s", "-1"], "--max-duration-s: expected 0.1 to 3,600, got -1."),
        (["x", "--timeout-s", "inf"], "--timeout-s: expected 1 to 86,400, got inf."),
        (["x", "--host", "no such host"], "--host: 'no such host' is no address of this machine."),
        (["x", "--host", "192.0.2.1", "--port", "0"], "--host: '192.0.2.1' is no address of this machine."),
        (["no/such/run", "--port", "0"], "no/such/run"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], line: str) -> None:
    left = ended("lalm_ambig.serve", *words)
    assert left.code == 2 and line in left.err and left.err.count("\n") == 1 and left.out == ""


def test_a_port_that_is_taken_is_said_before_the_model_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        left = ended("lalm_ambig.serve", "no/such/run", "--port", str(port))
    taken = f"error: --port: port {port} is taken by another program. Choose another"
    assert left.code == 2 and left.err.startswith(taken)


@pytest.fixture(scope="session")
def trained_model(served_run: Path, cache_home: Path) -> Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        return load(served_run, device="cpu")


def test_examples_are_test_items_from_clear_to_ambiguous(trained_model: Model) -> None:
    examples, missing = examples_of(trained_model, is_local=True)
    assert missing is None and len(examples) == 5
    test = {item.id: item for item in trained_model.loaded.data.items("test")}
    for example in examples:
        assert example.split == "test" and tuple(example.votes.values()) == test[example.title].votes
        assert example.clip is not None and example.clip.is_file()
    largest = [max(example.record(0)["people"].values()) for example in examples]  # type: ignore[attr-defined]
    assert largest[0] > largest[-1]


def test_a_licensed_corpus_stays_on_this_machine(
    trained_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Corpus, "licensed", True)
    assert examples_of(trained_model, is_local=True)[0]
    examples, missing = examples_of(trained_model, is_local=False)
    assert examples == [] and missing == "demo is licensed, and others reach this server"


def test_an_untrained_model_has_no_examples(small_model: Model) -> None:
    assert examples_of(small_model, is_local=True) == ([], "the model was not trained by a run")


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@contextmanager
def served(run: Path, folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    (folder / "watch").mkdir()
    (folder / "watch/sitecustomize.py").write_text(WATCH)
    (folder / "tmp").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder / "watch"), str(ROOT)]),
        "WATCHED": str(folder / "connected"),
        "TMPDIR": str(folder / "tmp"),
    }
    command = [sys.executable, "-m", "lalm_ambig.serve", str(run), "--port", "0", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.fullmatch(r"(http://\S+/)  \(Ctrl-C ends it\)\n", line)
            assert match, process.communicate()
            yield process, match[1]
        finally:
            process.kill()


def asked(address: str, body: bytes, kind: str) -> dict[str, object]:
    request = urllib.request.Request(f"{address}v1/predict", body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: dict[str, object] = json.load(reply)
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_server_answers_connects_to_nothing_leaves_nothing_and_ends_soon(
    served_run: Path, cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: signal.Signals
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with served(served_run, tmp_path) as (process, address):
        before = files_in(tmp_path)
        clip = form(audio=sound_file(tone(0.5)), text="It is cold.")
        for _ in range(20):
            assert asked(address, clip, f"multipart/form-data; boundary={BOUNDARY}")["top"]
        assert asked(address, b'{"text":"It is cold."}', "application/json")["top"]
        with urllib.request.urlopen(f"{address}v1/examples", timeout=60) as reply:
            assert len(json.load(reply)) == 5
        began = time.monotonic()
        process.send_signal(by)
        _, said = process.communicate(timeout=60)
        assert (
            process.returncode == 128 + by
            and said.endswith(f"stopped by {by.name}\n")
            and "Traceback" not in said
        )
        assert time.monotonic() - began < 5
        assert files_in(tmp_path) - before <= {tmp_path / "connected"}
    connected = (tmp_path / "connected").read_text().splitlines()
    assert {line for line in connected if "127.0.0.1" not in line} == set()


@pytest.mark.slow
def test_a_server_for_everybody_says_so(
    served_run: Path, cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    with served(served_run, tmp_path, "--host", "0.0.0.0", "--no-page") as (process, address):
        port = int(address.rstrip("/").rpartition(":")[2])
        assert asked(f"http://127.0.0.1:{port}/", b'{"text":"a"}', "application/json")["top"]
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert "everybody who reaches this port can use the model; there is no password." in said
