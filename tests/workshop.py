"""Does what pages for new users say, in a folder with small data, a small model, its own hubs and endpoint."""

import contextlib
import csv
import importlib
import importlib.util
import json
import os
import shutil
import signal
import threading
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dataset_hub import dataset_hub
from endpoint_stub import EndpointStub
from hub_stub import hub
from huggingface_hub import constants
from layouts import iemocap
from task_page import Task, command_of, exported

import lalm_ambig
from lalm_ambig import serve
from lalm_ambig.__main__ import dispatch
from lalm_ambig.config import cli
from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.config.family import members
from lalm_ambig.core.errors import run_command
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.reading import hub as hub_reading
from lalm_ambig.methods.base import Method
from lalm_ambig.serving.running import address_of

SMALL: Mapping[str, Any] = {
    "data.limit": 4,
    "data.batch_size": 2,
    "data.items_per_update": 2,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": False,
    "run.probe": False,
    "run.samples": 1,
    "model.generation.max_new_tokens": 4,
    "model.generation.validation_items": 4,
}
GROUPS = {"model.grouping.group_size": 2}
SMALLER = {
    "evaluate": ["--limit", "4", "--max-new-tokens", "4"],
    "baseline": ["--limit", "6"],
    "report": ["--figure", "none"],
}
"""What the test adds to the words of the page, so that it ends soon."""
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
CLASSES = ("anger", "joy")


class Parsed(Exception):
    """The words were understood."""


def parse_as_written(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the command parse a page's line, and stop before it does anything."""
    words = command_of(line)
    if words is None:
        return
    if words[0] in ("fit", "doctor"):
        rest = ["--data=demo", "--method=sft"] if words[0] == "doctor" else []
        for member in members(cli.parse([*rest, *words[1:]]), [*rest, *words[1:]]):
            cli.parse(member.words)
        return

    def parse_args(self: CommandParser, *given: Any, **named: Any) -> None:
        ArgumentParser.parse_args(self, *given, **named)
        raise Parsed

    monkeypatch.setattr(CommandParser, "parse_args", parse_args, raising=False)
    with pytest.raises(Parsed):
        dispatch(words)


@pytest.fixture(name="workshop")
def made_workshop(
    demo_root: Path, tiny_folder: Path, cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Workshop"]:
    """A user's folder with data, and hubs and an endpoint on this machine."""
    assert tiny_folder.is_dir()
    home, here = tmp_path / "home", tmp_path / "here"
    shutil.copytree(demo_root, home / "CREMA-D")
    iemocap.write(home / "IEMOCAP_full_release")
    (here / "clips").mkdir(parents=True)
    items = tuple(open_corpus("crema_d", str(home / "CREMA-D")).read())
    write_inputs(here, items)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_reading, "_RESOLVED", {})
    shares = {
        "anger": 0.3,
        "disgust": 0.05,
        "fear": 0.05,
        "happiness": 0.1,
        "neutral": 0.4,
        "sadness": 0.0999,
    }
    answering = EndpointStub(write=lambda _: "<answer>neutral</answer>", answer=shares)
    with hub() as models, dataset_hub() as data, answering as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", models.address)
        monkeypatch.setattr(constants, "ENDPOINT", data.address)
        template = data.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        data.put("owner/votes", {"data/train.jsonl": (here / "text.jsonl").read_bytes()})
        yield Workshop(endpoint.url, monkeypatch)


def write_inputs(here: Path, items: tuple[Item, ...]) -> None:
    """Write the files that the page takes for granted: clips, items of one's own, and a CSV with a bad row."""
    clips = [Path(str(item.audio)) for item in items]
    for n in range(len(clips)):
        shutil.copy(clips[n], here / "clips" / f"{n}.wav")
    shutil.copy(clips[0], here / "clip.wav")
    rows: list[dict[str, Any]] = [{"categories": ["anger", "fear", "sadness", "neutral"]}]
    for n, item in enumerate(items):
        votes = {"anger": 1 + n % 3, "neutral": 2}
        rows.append(
            {"id": item.id, "audio": f"clips/{n}.wav", "text": "So.", "votes": votes, "speaker": f"s{n % 9}"}
        )
    (here / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts = [{"id": n, "text": f"text {n}", "votes": {"a": n % 3, "b": 1}} for n in range(30)]
    (here / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in texts))
    with (here / "votes.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["text", *CLASSES])
        table.writerows([f"text {n}", n % 3, "three" if n == 7 else 1] for n in range(30))


class Workshop:
    """Runs a task's lines in this process: each start of Python would cost six seconds of imports."""

    def __init__(self, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.endpoint, self.patch = endpoint, monkeypatch

    def run(self, task: Task) -> None:
        """Do what the page says.

        Raises:
            AssertionError: A command ended otherwise than the page says.
        """
        if task.how == "parse" or (task.how == "wandb" and importlib.util.find_spec("wandb") is None):
            return
        if task.language == "python":
            self.python(self.local(task.block))
        for line in task.lines if task.language == "bash" else ():
            if pair := exported(line):
                self.patch.setenv(pair[0], "hf_not_a_real_one" if pair[1] == "…" else pair[1])
            else:
                self.command(self.local(line), task.how)
        missing = [path for path in task.paths if not Path(path).exists()]
        assert not missing, f"the outcome names {missing}, which the commands did not write"

    def local(self, text: str) -> str:
        """The text with small things of this machine for the hub, the endpoint and the large model."""
        names = {
            "owner/name": "me/x",
            "https://api.openai.com/v1": self.endpoint,
            "gpt-4o-audio-preview": "right-model",
        }
        if "--policy.path" not in text:
            names["qwen2_audio"] = "tiny"
        for name, local in names.items():
            text = text.replace(name, local)
        return text

    def command(self, line: str, how: str) -> None:
        words = command_of(line) or []
        words += small(words)
        if how == "killed":
            with killed_in_its_second_step():
                ended(words, TERMINATED)
        if how == "serve":
            with asked_and_stopped(self.patch) as replies:
                ended([*words, "--port", "0"], INTERRUPTED)
            assert replies == ["ok"]
            return
        ended(words, 2 if how == "exit 2" else 0)
        if how == "killed":  # the run from Python has the same settings
            answers = "evaluation/validation/trained/predictions.jsonl"
            assert Path("runs/killed", answers).read_text() == Path("runs/py", answers).read_text()

    def python(self, source: str) -> None:
        train = lalm_ambig.train

        def small_train(*given: Any, **named: Any) -> Any:
            return train(*given, **{**named, **SMALL})

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lalm_ambig, "train", small_train, raising=False)
            exec(compile(source, "<task>", "exec"), {})


def small(words: list[str]) -> list[str]:
    if words[0] != "fit":
        return SMALLER[words[0]][: 2 if "--endpoint" in words else None] if words[0] in SMALLER else []
    keys = {**SMALL, **(GROUPS if "grpo" in words else {})}
    if "--data" not in words:  # the demo in small
        keys["data.corpus.root"] = str(Path("~/CREMA-D").expanduser())
    return [f"--{key}={json.dumps(value)}".replace('"', "") for key, value in keys.items()]


def ended(words: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as left:
        run_command(lambda: dispatch(words))
    assert left.value.code == code, f"exit code {left.value.code}, not {code}: {' '.join(words)}"


@contextlib.contextmanager
def killed_in_its_second_step() -> Iterator[None]:
    step, calls = Method.training_step, []

    def stepped(self: Method, *batch: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Method, "training_step", stepped)
        yield
    assert len(calls) == 2


@contextlib.contextmanager
def asked_and_stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Ask a server as soon as it listens, and press Ctrl-C."""
    replies: list[str] = []

    def ask(address: str) -> None:
        try:
            with urllib.request.urlopen(f"{address.rstrip('/')}/health", timeout=30) as reply:
                replies.append(json.load(reply)["status"])
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    def say(taken: Any) -> None:
        threading.Thread(target=ask, args=(address_of(taken),)).start()

    with monkeypatch.context() as patch:
        patch.setattr(serve, "_say", say)
        yield replies
