"""Every method on a pretend accelerator that refuses what CUDA refuses: nothing of a run is left on the CPU.

`make test` tries one combination of each kind, `make pretend-gpu` all of them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import combinations
import pytest
from pretend.build import cannot_build

HERE = Path(__file__).parent
REASON = cannot_build()
pytestmark = [
    pytest.mark.long,  # make pretend-gpu runs them all
    pytest.mark.skipif(REASON is not None, reason=f"the pretend accelerator cannot be compiled: {REASON}"),
]

DRAW = ["--model.sampling.max_new_tokens=12"]
METHODS: dict[str, tuple[str, list[str]]] = {
    "sft": ("sft", []),
    "kl_only": ("sft_kl_only", []),
    "verbalised": ("sft_verbalised", []),
    "samples": ("sft", ["--model.generation.samples=2"]),
    "sft_sequence": ("sft", ["--data.scoring=sequence"]),
    "dpo": ("dpo", DRAW),
    "dpo_all_start": ("dpo", [*DRAW, "--model.negatives.choose=all", "--model.reference=start"]),
    "grpo": ("grpo", DRAW),
    "grpo_two_updates": (
        "grpo",
        [
            *DRAW,
            "--model.grouping.updates=2",
            "--model.share_prompt=false",
            "--model.sampling.top_k=5",
            "--model.sampling.top_p=0.9",
            "--model.reference=start",
        ],
    ),
    "grpo_sequence": ("grpo", [*DRAW, "--data.scoring=sequence"]),
    "grpoz": ("grpoz", DRAW),
    "grpoz_policy": (
        "grpoz",
        [*DRAW, "--model.curated.earns=policy", "--model.curated.in_baseline=false"],
    ),
    "shala": ("shala", DRAW),
    "shala_skip": (
        "shala",
        [*DRAW, "--model.grouping.skip_unanimous=true", "--model.grouping.advantage_scale=batch"],
    ),
    "mls": ("mls", DRAW),
}
"""The method's file, and settings over it."""
TYPES: dict[str, tuple[str, str, list[str]]] = {
    "bfloat16": ("text", "sft", ["--policy.dtype=bfloat16", "--trainer.precision=bf16-mixed"]),
    "float16": ("text", "sft", ["--policy.dtype=float16", "--trainer.precision=32-true"]),
    "computed again": ("text", "grpo", ["--policy.adapter.checkpoint_activations=true"]),
    "nf4": ("text", "grpo", ["--policy.quantize=nf4", "--trainer.precision=bf16-mixed"]),
    "int8 audio": ("omni", "sft", ["--policy.quantize=int8"]),
    "rows alone": ("omni", "grpo", ["--model.share_prompt=false"]),
}
FLOAT32 = ["--policy.dtype=float32"]
COMBINATIONS = [(policy, method) for policy in combinations.POLICIES for method in METHODS]


class CommandFailed(Exception):
    """What the server was asked for ended with an error."""


class DevicesMixed(CommandFailed):
    """That error is one of a tensor on the CPU beside one on the device."""


class Pretend:
    """A process that runs the product's commands on the accelerator (see pretend/server.py), and their inputs."""

    def __init__(self, folder: Path, cache: Path, demo: Path) -> None:
        self.folder, self.demo = folder, demo
        self.inputs = combinations.write_small_inputs(folder / "inputs")
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "pretend/server.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={
                    **os.environ,
                    "XDG_CACHE_HOME": str(cache),
                    "OMP_NUM_THREADS": "1",
                    "PYTHONPATH": os.pathsep.join(
                        map(str, (HERE, HERE.parents[1], HERE.parent / "policies"))
                    ),
                },
            )

    def ask(self, **order: Any) -> dict[str, Any]:
        """The server's answer; CommandFailed where the order failed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the server has ended:\n{self.log.read_text()[-3000:]}"
        answer: dict[str, Any] = json.loads(line)
        if answer["error"] is not None:
            mixed = "device" in answer["error"] and "cpu" in answer["error"]
            raise (DevicesMixed if mixed else CommandFailed)(answer["error"])
        return answer

    def fit(self, policy: str, method: str, *more: str, name: str = "", **order: Any) -> dict[str, Any]:
        """A run of a method on a small model; its folder is the answer."""
        return self.ask(command="fit", words=self._words(policy, method, *more, name=name), **order)

    def count(self, policy: str, method: str, phase: str, *, settings: Sequence[str] = ()) -> dict[str, Any]:
        """Launches and copies of a decode step (`decode`), or of a training step and its parts (`train`)."""
        words = self._words(policy, method, *(settings or FLOAT32), name=f"count-{policy}-{method}-{phase}")
        counts: dict[str, Any] = self.ask(count=phase, words=[*words, "--trainer.limit_val_batches=0"])[
            "answer"
        ]
        return counts

    def _words(self, policy: str, method: str, *more: str, name: str) -> list[str]:
        file, settings = METHODS[method]
        words = combinations.words(
            policy, file, self.inputs, runs=self.folder / "runs", name=name or f"{policy}-{method}"
        )
        where = [] if policy.startswith("text") else [f"--data.corpus.root={self.demo}"]
        accelerator = "--trainer.accelerator=cpu"  # which the accelerator stands in for
        return [*words, *where, accelerator, *settings, *more]

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def pretend(tmp_path_factory: pytest.TempPathFactory, cache_home: Path, demo_root: Path) -> Iterator[Pretend]:
    server = Pretend(tmp_path_factory.mktemp("pretend"), cache_home, demo_root)
    yield server
    server.close()


@pytest.fixture(scope="module")
def grpo_run(pretend: Pretend) -> str:
    """The folder of a finished run of GRPO."""
    return str(pretend.fit("tiny", "grpo", name="finished")["answer"])


def test_a_cpu_tensor_beside_the_devices_is_refused_as_cuda_refuses_it(pretend: Pretend) -> None:
    refused = pretend.ask(probe="mixing")["answer"]
    accepted = {"sum with a number", "product with a number", "indexed on the CPU", "copied"}
    assert {name for name, is_refused in refused.items() if not is_refused} == accepted


def test_float64_is_refused_as_on_apples_gpus(pretend: Pretend) -> None:
    refused = pretend.ask(probe="float64")["answer"]
    assert {name for name, is_refused in refused.items() if not is_refused} == {
        "converted on the host",
        "copied in float32",
    }


def test_launches_copies_and_synchronisations_are_counted(pretend: Pretend) -> None:
    counts = pretend.ask(probe="counting")["answer"]
    assert counts["product"] == {"launches": 1, "to_device": 0, "to_host": 0}
    assert counts["view"] == {"launches": 0, "to_device": 0, "to_host": 0}
    assert counts["to the device"] == {"launches": 0, "to_device": 1, "to_host": 0}
    for name in ("CPU index", "written at a CPU index"):
        assert (counts[name]["to_device"], counts[name]["to_host"]) == (1, 0), name
    for name in ("to the host", "number", "list", "mask", "nonzero", "written at a mask"):
        assert (counts[name]["to_device"], counts[name]["to_host"]) == (0, 1), name


def test_the_peak_of_memory_is_what_was_held_at_once(pretend: Pretend) -> None:
    peaks = pretend.ask(probe="memory")["answer"]
    assert peaks == {"in turn": 1_000_000, "at once": 1_500_000, "freed": 1_500_000}


def test_values_gradients_and_autocast_are_those_of_a_device(pretend: Pretend) -> None:
    found = pretend.ask(probe="values")["answer"]
    assert found["difference"] < 1e-6
    assert found["launches"] > 10
    assert found["bytes of a product under autocast"] == 2
    assert found["bytes of a softmax under autocast"] == 4


def test_a_synchronisation_names_the_products_line(pretend: Pretend) -> None:
    places = pretend.ask(probe="lines")["answer"]
    assert places and all(place.startswith("policies/") for place in places)


def test_tensors_of_a_device_are_not_pickled_for_other_processes(pretend: Pretend) -> None:
    """The server looks at all that is gathered, so that every run of this file is a test of it."""
    refused = pretend.ask(probe="gathering")["answer"]
    assert {name for name, is_refused in refused.items() if not is_refused} == {"CPU", "plain"}


def test_a_policy_is_loaded_onto_the_device_and_stays_there(pretend: Pretend) -> None:
    found = pretend.ask(probe="placement")["answer"]
    assert found.pop("policy") == "pretend:0"
    assert found == {when: ["pretend"] for when in ("loaded", "after a loop", "reloaded")}


def test_a_frozen_encoder_leaves_the_device_and_comes_back_when_a_clip_is_heard(pretend: Pretend) -> None:
    found = pretend.ask(probe="aside")["answer"]
    assert found.pop("share that left") == pytest.approx(1, abs=0.05)
    assert found == {
        "counted": True,
        "came back": "pretend:0",
        "difference": 0.0,
        "in training mode": False,
    }


@pytest.mark.parametrize("policy", ["tiny", "omni"])
def test_training_on_cached_features_holds_no_encoder(pretend: Pretend, policy: str) -> None:
    """Both runs end with the same adapter, so that only what is held can differ."""
    words = [*FLOAT32] if policy == "omni" else []
    peaks = [
        pretend.fit(policy, "kl_only", *words, f"--data.cache_features={on}", name=f"held-{policy}-{on}")[
            "counts"
        ]
        for on in ("true", "false")
    ]
    assert peaks[0]["peak_bytes"] < peaks[1]["peak_bytes"]


def test_plain_weights_that_are_packed_are_never_all_on_the_device(pretend: Pretend) -> None:
    """A quarter and an eighth of their linear layers, plus the other weights and what the self-check computes."""
    shares = pretend.ask(probe="packing")["answer"]
    assert shares["nf4"] < shares["int8"] < 0.75


def test_weights_go_from_their_files_to_the_device_a_few_at_a_time(pretend: Pretend) -> None:
    found = pretend.ask(probe="host_memory")["answer"]
    assert found["shards"] > 3
    assert found["held"] == pytest.approx(found["weights"], rel=0.01)
    assert found["beyond"] < 1.2 * found["shard"]


@pytest.mark.parametrize(("policy", "method"), COMBINATIONS)
def test_a_run_is_on_the_device_from_beginning_to_end(pretend: Pretend, policy: str, method: str) -> None:
    counts = pretend.fit(policy, method, *_in_float32(policy))["counts"]
    assert counts["refusals"] == 0
    assert counts["launches"] > 5_000
    assert counts["to_host"] < counts["launches"] / 5


def _in_float32(policy: str) -> list[str]:
    """Base weights of four bytes where the policy's file has two."""
    return [] if policy == "tiny" else FLOAT32


@pytest.mark.parametrize("case", TYPES)
def test_other_types_and_ways_of_computing_are_on_the_device(pretend: Pretend, case: str) -> None:
    policy, method, settings = TYPES[case]
    counts = pretend.fit(policy, method, *settings, name=case.replace(" ", "_"))["counts"]
    assert counts["refusals"] == 0


def test_evaluate_is_on_the_device(pretend: Pretend, grpo_run: str, tmp_path: Path) -> None:
    words = ["--run", grpo_run, "--out", str(tmp_path), "--limit", "6", "--temperature-scaling"]
    counts = pretend.ask(command="evaluate", words=[*words, "--samples", "1", "2"])["counts"]
    assert counts["refusals"] == 0
    assert counts["launches"] > 5_000


def test_predict_is_on_the_device(pretend: Pretend, grpo_run: str) -> None:
    clip = next(iter(sorted(pretend.demo.rglob("*.wav"))))
    counts = pretend.ask(command="predict", words=[str(clip), "--run", grpo_run, "--json"])["counts"]
    assert counts["launches"] > 0


def test_doctor_looks_at_the_policy_on_the_device(pretend: Pretend) -> None:
    counts = pretend.ask(command="doctor", words=["--trainer.accelerator=cpu"])["counts"]
    assert counts["refusals"] == 0
    assert counts["launches"] > 1_000


def test_features_of_a_corpus_are_computed_on_the_device(
    pretend: Pretend, cache_home: Path, tmp_path: Path
) -> None:
    words = ["probe", "--policy", str(combinations.CONFIGS / "policy/tiny.yaml"), "--out", str(tmp_path)]
    words += ["--corpus", "demo", "--root", str(pretend.demo), "--limit", "30"]
    pretend.ask(command="baseline", words=words)
    there = pretend.ask(command="baseline", words=words)["counts"]
    for folder in (cache_home / "lalm_ambig").glob("features-*"):
        shutil.rmtree(folder)
    computed = pretend.ask(command="baseline", words=words)["counts"]
    assert computed["refusals"] == 0
    assert computed["launches"] - there["launches"] > 300


@pytest.mark.parametrize("layers", [False, True])
def test_the_probe_is_on_the_device(pretend: Pretend, layers: bool, tmp_path: Path) -> None:
    words = ["probe", "--policy", str(combinations.CONFIGS / "policy/tiny.yaml"), "--out", str(tmp_path)]
    text = ["--corpus", "jsonl", "--root", str(pretend.inputs / "text.jsonl")]
    sound = ["--corpus", "demo", "--root", str(pretend.demo), "--limit", "30", "--layers", "all"]
    counts = pretend.ask(command="baseline", words=[*words, *(sound if layers else text)])["counts"]
    assert counts["refusals"] == 0
    assert counts["launches"] > 300


@pytest.mark.parametrize("name", ["oracle", "panel", "prior", "uniform"])
def test_baselines_without_a_model_need_no_device(pretend: Pretend, name: str, tmp_path: Path) -> None:
    words = [name, "--corpus", "demo", "--root", str(pretend.demo), "--out", str(tmp_path), "--limit", "30"]
    assert pretend.ask(command="baseline", words=words)["counts"]["launches"] == 0


@pytest.mark.parametrize("method", ["sft", "dpo_all_start", "grpo", "grpo_two_updates"])
def test_a_stopped_run_goes_on_on_the_device(pretend: Pretend, method: str) -> None:
    name = f"stopped-{method}"
    assert pretend.fit("tiny", method, name=name, before_step=1)["answer"] == "stopped"
    assert pretend.fit("tiny", method, name=name)["counts"]["refusals"] == 0


@pytest.mark.parametrize("policy", ["omni", "text"])
def test_evaluate_of_other_models_is_on_the_device(pretend: Pretend, policy: str, tmp_path: Path) -> None:
    run = pretend.fit(policy, "sft", name=f"evaluated-{policy}")["answer"]
    words = ["--run", run, "--out", str(tmp_path), "--limit", "4"]
    assert pretend.ask(command="evaluate", words=words)["counts"]["launches"] > 1_000


def test_an_adapter_that_was_trained_on_the_device_is_exported(
    pretend: Pretend, grpo_run: str, tmp_path: Path
) -> None:
    pretend.ask(command="export", words=[grpo_run, "--merged", "--out", str(tmp_path / "merged")])
    assert (tmp_path / "merged/config.json").is_file()
