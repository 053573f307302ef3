"""Runs that are stopped, killed, or left without room end in one line, and the same command then gives equal weights.

Each kind of end at the moments that differ: before training, in and between steps (of two batches each), in validation,
while something is written, and behind training.
"""

import json
import random
import signal
from pathlib import Path

import pytest
from small_runs import ForkServer, Whole, left, words

pytestmark = pytest.mark.slow

FILES = {
    "saving": "step-00000002.ckpt",
    "best": "best.safetensors",
    "samples": "samples.jsonl",
    "adapter": "adapter",
}
"""What is being written at a place where there is no more room."""
BATCHES, STEPS = 2, 6
"""Batches of a step, and steps of the run."""
STOPS = [
    ("SIGTERM", "corpus", 1),
    ("SIGTERM", "weights", 1),
    ("SIGTERM", "prediction", 1),
    ("SIGTERM", "step", 1),
    ("SIGTERM", "step", 4),  # the second batch of the second step
    ("SIGTERM", "step", 6),  # the last of an epoch
    ("SIGTERM", "validation", 1),
    ("SIGTERM", "saving", 1),
    ("SIGTERM", "step", 12),  # the last of all
    ("SIGTERM", "adapter", 1),
    ("SIGTERM", "table", 1),
    ("SIGINT", "step", 7),
    ("SIGHUP", "step", 8),
    ("SIGUSR1", "step", 9),
    ("SIGKILL", "step", 8),
    ("SIGKILL", "validation", 2),
    ("SIGKILL", "saving", 2),
    ("SIGKILL", "best", 2),
    ("SIGKILL", "samples", 2),
    ("SIGKILL", "adapter", 1),
    ("SIGKILL", "table", 1),
    ("full", "step", 5),
    ("full", "saving", 1),
    ("full", "best", 2),
    ("full", "samples", 2),
    ("full", "adapter", 1),
    ("gone", "step", 8),
    ("gone", "validation", 2),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 short texts, of which 12 are trained on."""
    chance, file = random.Random(0), tmp_path_factory.mktemp("texts") / "texts.jsonl"
    with file.open("w") as out:
        for n in range(20):
            split = "train" if n < 12 else "validation" if n < 16 else "test"
            text = " ".join(chance.choices(["good", "bad", "calm", "loud", "quiet", "rain", "sun"], k=4))
            votes = {"joy": chance.randint(1, 5), "anger": chance.randint(0, 5)}
            out.write(json.dumps({"id": f"t{n}", "text": text, "votes": votes, "split": split}) + "\n")
    return file


def arguments(corpus: Path, runs: Path, *more: str) -> list[str]:
    """Arguments of `fit`: three steps an epoch, of two batches each, two epochs, a state every two steps."""
    adapter = ("method=lora", "projector=false", "audio_tower=false", "rank=4", "dropout=0.1")
    return [
        "--policy=tiny",
        "--model=lalm_ambig.methods.sft.SFT",
        "--model.reasoning=false",
        "--model.optimiser.learning_rate=0.01",
        "--model.objective.kl_weight=1.0",
        *(f"--policy.adapter.{field}" for field in adapter),
        "--data.corpus=lalm_ambig.corpora.jsonl.JsonLines",
        f"--data.corpus.root={corpus}",
        "--data.batch_size=2",
        "--data.items_per_update=4",
        "--data.eval_batch_size=12",
        "--trainer.max_epochs=2",
        "--trainer.accelerator=cpu",
        "--trainer.devices=1",
        "--trainer.log_every_n_steps=1",
        "--trainer.enable_progress_bar=false",
        "--run.checkpoint_steps=2",
        "--run.probe=false",
        f"--run.root={runs}",
        "--run.name=r",
        *more,
    ]


@pytest.fixture(scope="module")
def undisturbed(server: ForkServer, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert server.run(arguments(corpus, folder), folder / "log") == [0], (folder / "log").read_text()
    return folder / "r"


@pytest.mark.parametrize(("kind", "place", "time"), STOPS)
def test_a_run_that_ended_early_ends_as_if_it_had_not(
    kind: str, place: str, time: int, server: ForkServer, corpus: Path, undisturbed: Path, tmp_path: Path
) -> None:
    given, log, run = arguments(corpus, tmp_path), tmp_path / "log", tmp_path / "r"
    codes = server.run(given, log, kill=(place, time), signal=kind, run=str(run))
    said, elsewhere = log.read_text(), Path(f"{run}.elsewhere")
    assert codes == [expected(kind)], said
    assert "Traceback" not in said
    if kind not in ("SIGKILL", "full", "gone"):
        assert said.splitlines()[-1].startswith(f"stopped by {kind}: ")
        step = -(-time // BATCHES)
        if place == "step" and step < STEPS:
            assert said.splitlines()[-1].startswith(f"stopped by {kind}: step {step} is finished and saved.")
            assert (run / f"checkpoints/step-{step:08d}.ckpt").is_file()
    if kind in ("full", "gone"):
        [line] = [line for line in said.splitlines() if line.startswith("error: ")]
        assert "same command goes on from" in line
        assert kind == "gone" or FILES.get(place, "") in line
    if elsewhere.is_dir():
        assert not any(run.glob("*"))
        elsewhere.rename(run)
    assert not (run / "results.md").exists()
    assert server.run(given, log) == [0], log.read_text()
    found, wanted = left(run), left(undisturbed)
    assert [name for name in wanted if found.get(name) != wanted[name]] == []
    assert not list(run.rglob(".unfinished-*"))


def expected(kind: str) -> int:
    if kind in ("full", "gone"):
        return 2
    return -9 if kind == "SIGKILL" else 128 + signal.Signals[kind]


@pytest.mark.parametrize(
    ("method", "world", "ranks", "place", "time"),
    [
        ("grpo", 1, [0], "step", 5),  # between the updates on one batch of responses
        ("dpo", 1, [0], "rollout", 35),
        ("sft", 2, [1], "step", 3),
        ("grpo", 2, [0, 1], "step", 5),
    ],
)
def test_all_processes_stop_behind_one_step_whichever_was_told(
    method: str,
    world: int,
    ranks: list[int],
    place: str,
    time: int,
    server: ForkServer,
    whole: Whole,
    demo_root: Path,
    tmp_path: Path,
) -> None:
    given, log = words(method, demo_root, tmp_path, world=world), tmp_path / "log"
    stop = {"kill": (place, time), "signal": "SIGTERM", "ranks": ranks}
    assert server.run(given, log, world=world, **stop) == [143] * world, log.read_text()
    assert log.read_text().splitlines()[-1].startswith("stopped by SIGTERM: step ")
    assert server.run(given, log, world=world) == [0] * world, log.read_text()
    wanted, found = left(whole(method, world)), left(tmp_path / "r")
    assert [name for name in wanted if found.get(name) != wanted[name]] == []
