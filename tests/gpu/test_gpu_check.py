"""The check of a GPU machine stays alive: its runner loses nothing, and what it uses of the product is still there."""

import importlib
import inspect
import json
import os
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import combinations
import pytest
import torch
from check import facts
from check.device import Device
from check.options import STAGES, parsed
from check.runner import Planned, Stage, run_stages
from check.stages.tiny import CASES
from check.true_size import TOY, write_omni
from packaging.requirements import Requirement
from product import assembly, commands
from product.decoding import Decoding, attend, decode_by_transformers, never_ending
from wheels import MACHINE, machine_has, needed

HERE = Path(__file__).parent
ON_CPU = ("--trainer.accelerator=cpu", "--trainer.limit_val_batches=0", "--trainer.logger=false")


def planned(name: str, code: str, *, most_s: float = 30) -> Planned:
    """A stage that runs some Python."""
    return Planned(name, [sys.executable, "-c", code], most_s)


def noted(folder: Path) -> list[dict[str, object]]:
    return [{key: row[key] for key in ("stage", "what", "value")} for row in facts.read(folder)]


def test_a_stage_that_fails_is_reported_and_the_next_one_runs(tmp_path: Path) -> None:
    stages = [planned("broken", "import os; os._exit(3)"), planned("fine", "print('hello')")]
    assert run_stages(stages, tmp_path, budget_s=100) == 1
    assert noted(tmp_path) == [
        {"stage": "broken", "what": "ended", "value": "exit code 3"},
        {"stage": "fine", "what": "ended", "value": "well"},
    ]
    assert (tmp_path / "fine.log").read_text() == "hello\n"
    assert "1 of 2 facts are not as they should be" in (tmp_path / "summary.txt").read_text()


def test_a_stage_that_takes_too_long_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    child = tmp_path / "child"
    code = (
        "import subprocess, sys, time, pathlib\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(child)!r}).write_text(str(p.pid)); time.sleep(60)"
    )
    assert run_stages([planned("slow", code, most_s=5)], tmp_path, budget_s=100) == 1
    assert noted(tmp_path) == [{"stage": "slow", "what": "ended", "value": "time-out after 5 s"}]
    assert ends_within(5, int(child.read_text()))


def ends_within(seconds: float, process: int) -> bool:
    """Whether a process that was killed is gone by then: the system takes a moment."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            status = Path(f"/proc/{process}/stat").read_text()
        except OSError:
            return True
        if status.rpartition(")")[2].split()[0] in "ZX":
            return True
        time.sleep(0.05)
    return False


def test_a_stage_for_which_no_time_is_left_is_skipped_and_said_so(tmp_path: Path) -> None:
    assert run_stages([planned("late", "print()")], tmp_path, budget_s=5) == 0
    assert noted(tmp_path) == [{"stage": "late", "what": "skipped", "value": "5 s are left"}]


def test_everything_is_well_where_every_stage_is(tmp_path: Path) -> None:
    assert run_stages([planned("fine", "")], tmp_path, budget_s=100) == 0


def test_an_attempt_that_fails_is_a_fact_and_the_stage_goes_on(tmp_path: Path) -> None:
    found = facts.Facts(tmp_path, "one")
    with found.attempt("division"):
        print(1 // 0)
    found.note("later", 2)
    failure, later = facts.read(tmp_path)
    assert failure["what"] == "FAILED division" and failure["failed"]
    assert failure["value"].startswith("ZeroDivisionError") and "test_gpu_check.py:" in failure["at"]
    assert later == {"stage": "one", "what": "later", "value": 2}


def test_facts_before_an_unfinished_line_are_kept(tmp_path: Path) -> None:
    facts.Facts(tmp_path, "one").note("whole", 1)
    with (tmp_path / "results.jsonl").open("a") as file:
        file.write('{"stage": "one", "wh')
    assert [row["what"] for row in facts.read(tmp_path)] == ["whole"]


@pytest.mark.slow
def test_the_command_runs_a_stage_by_itself(tmp_path: Path, cache_home: Path) -> None:
    words = ["--out", str(tmp_path), "--device", "cpu", "--size", "toy", "--only", "environment"]
    done = subprocess.run(
        [sys.executable, str(HERE / "check"), *words, "--slower", "10", "--budget", "600"],
        env={**os.environ, "XDG_CACHE_HOME": str(cache_home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {"stage": "environment", "what": "version of torch", "value": version("torch")} in rows
    assert {row["what"]: row["value"] for row in rows}["ended"] == "well"


@pytest.mark.parametrize("words", [["--only", "tiny,huge"], ["--size", "huge"], ["--device", "tpu"]])
def test_a_wrong_option_is_refused_with_the_right_ones(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parsed(["--out", str(tmp_path), *words])
    said = capsys.readouterr().err
    assert any(right in said for right in ("none of environment", "choose from"))


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_can_be_imported_with_all_that_it_uses(name: str) -> None:
    module = importlib.import_module(f"check.stages.{name}")
    assert list(inspect.signature(module.run).parameters) == ["stage"]
    assert module.__doc__


def test_every_module_of_the_check_is_a_stage_or_one_of_its_parts() -> None:
    assert {path.stem for path in (HERE / "check/stages").glob("[!_]*.py")} == set(STAGES)


@pytest.mark.parametrize("policy", combinations.POLICIES)
def test_the_product_takes_the_arguments_of_every_small_run(policy: str, tmp_path: Path) -> None:
    for case, method, settings in CASES:
        if case == policy:
            words = combinations.words(policy, method, tmp_path, runs=tmp_path, name="r")
            assert assembly.parse([*words, *settings]).config


def test_a_training_step_is_measured_and_estimated(tmp_path: Path, tiny_run: list[str]) -> None:
    from check.steps import Steps

    cli = assembly.assembled([*tiny_run, *ON_CPU, "--trainer.max_steps=1"])
    stage = Stage(
        parsed(["--out", str(tmp_path), "--device", "cpu"]), facts.Facts(tmp_path, "one"), Device("cpu")
    )
    steps = Steps(stage, cli, "tiny grpo")
    with assembly.timed(steps.measure):
        assembly.trainer_of(cli, steps).fit(cli.model, datamodule=cli.datamodule)
    [step] = facts.read(tmp_path)
    assert step["what"] == "tiny grpo step 0" and "failed" not in step
    assert step["sample_groups_s"] > 0 and step["score_spans_s"] > 0
    assert step["items"] == 4 and step["prompt"] > step["curated"] / 100 > 0
    assert step["estimate_gb"] > 0


def test_every_row_is_decoded_to_its_full_length(tiny_run: list[str]) -> None:
    cli = assembly.assembled([*tiny_run, *ON_CPU])
    policy = cli.model.policy
    decoding = Decoding(cli.datamodule.items("train")[:2], 3)
    with never_ending(policy):
        generated = decoding.run(policy, cli.model.encoder, tokens=5)
        alone = Decoding(decoding.items, 3, share_prompt=False, autocast=None)
        alone.run(policy, cli.model.encoder, tokens=2)
    assert [len(response.ids) for response in generated.responses] == [5] * 6
    decode_by_transformers(policy, rows=2, prompt=8, tokens=3)


def test_attention_behind_a_prefix_is_causal_attention() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 4, 12, 8)
    whole = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    for prefix in (0, 5, 11):
        assert torch.allclose(attend(query, key, value, prefix=prefix), whole, atol=1e-6)


def test_a_random_model_of_true_kind_hears(tmp_path: Path) -> None:
    from check.true_size import write_qwen2_audio

    model = write_qwen2_audio(tmp_path, TOY["qwen2_audio"], device="cpu", decoder_layers=1)
    policy = assembly.qwen2_audio(model.folder)
    with assembly.reading(model.make):
        policy.load()
    [features] = assembly.audio_features(policy, [torch.randn(16_000) * 0.1])
    assert features.shape == (25, 160) and bool(torch.isfinite(features).all())
    assert len(policy.tokenizer) == 8192
    assert policy.tokenizer.decode([8000]).startswith(" w")


def test_a_random_thinker_has_the_true_layout(tmp_path: Path) -> None:
    config = write_omni(tmp_path, TOY["omni"], device="cpu").make().config
    assert config.text_config.num_hidden_layers == config.vision_config.depth == 2
    assert config.text_config.hidden_size == config.audio_config.output_dim == 3584 // 4


def test_a_copy_that_is_not_installed_still_has_a_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_installed(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(commands, "version", not_installed)
    monkeypatch.setattr(sys, "path", [*sys.path])
    commands.say_version(tmp_path)
    assert version("lalm_ambig") == "0.0.0"


def test_only_wheels_that_the_machine_lacks_are_fetched() -> None:
    wanted = needed()
    assert {"peft", "datasets", "jsonargparse", "typeshed-client", "cffi"} <= wanted
    assert "transformers" in wanted, "it is there, but too old"
    assert not wanted & {"torch", "lightning", "numpy", "pytest", "openai"}


def test_a_version_that_the_machine_has_is_compared_with_the_one_that_is_wanted() -> None:
    assert machine_has(Requirement(f"torch=={MACHINE['torch']}"))
    assert not machine_has(Requirement("torch>=99"))
    assert machine_has(Requirement("tqdm>=4"))
    assert not machine_has(Requirement("unheard-of"))


@pytest.fixture
def tiny_run(tmp_path: Path, cache_home: Path, demo_root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Arguments of GRPO with the tiny model on a small demo corpus."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    words = combinations.words("tiny", "grpo", tmp_path, runs=tmp_path, name="r")
    return [*words, f"--data.corpus.root={demo_root}", "--model.sampling.max_new_tokens=6"]
