"""From a DeepSpeed checkpoint of two processes to plain weights, for ZeRO 1, 2 and 3."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from run_folders import MakeRun
from safetensors.torch import load_file, save_file
from torch import Tensor

from lalm_ambig import export
from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.exporting.zero import read_zero
from lalm_ambig.policies.base import Policy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # DeepSpeed's
    pytest.mark.skipif(find_spec("deepspeed") is None, reason="deepspeed is not installed"),
]
CHECKPOINTS = (("whole", 1), ("standardised", 2), ("lora", 3))


@pytest.fixture(scope="module")
def runs(make_run: MakeRun) -> dict[str, Path]:
    """Unfinished runs, with checkpoints that two processes have written."""
    standardised = ("--policy.standardise_audio=true", "--policy.adapter.projector=true")
    folders = {
        "lora": make_run("sharded", finished=False),
        "standardised": make_run("standardised", *standardised, finished=False),
        "whole": make_run("whole", "--policy.adapter.method=full", finished=False),
    }
    script = Path(__file__).with_name("zero_writer.py")
    places = [str(script.parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, str(script), *(f"{folders[name]}:{stage}" for name, stage in CHECKPOINTS)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(places),
            "DS_ACCELERATOR": "cpu",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folders


def checkpoint(runs: dict[str, Path], name: str, stage: int) -> Path:
    return runs[name] / "checkpoints" / f"{stage}.ckpt"


def trained(runs: dict[str, Path], name: str, stage: int) -> dict[str, Tensor]:
    """The weights of the two processes at the end, gathered."""
    return load_file(checkpoint(runs, name, stage).with_suffix(".safetensors"))


def policy_of(run: Path) -> Policy:
    policy: Policy = parse([f"--config={run}/config.yaml"]).model.policy
    policy.load()
    return policy


@pytest.mark.parametrize(("name", "stage"), CHECKPOINTS)
def test_what_two_processes_trained_is_put_together_exactly(
    runs: dict[str, Path], name: str, stage: int
) -> None:
    expected = trained(runs, name, stage)
    state = read_zero(checkpoint(runs, name, stage))
    assert set(expected) <= set(state)
    assert all(torch.equal(state[key], value) for key, value in expected.items())
    inside = read_zero(checkpoint(runs, name, stage) / "checkpoint")
    assert all(torch.equal(state[key], value) for key, value in inside.items())


def test_lora_becomes_an_adapter_that_a_policy_reads(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert export.main([str(checkpoint(runs, "lora", 3)), "--zero", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "its files are pickles: they must be your own" in printed
    assert "shards" not in printed and "Processing" not in printed
    policy = policy_of(runs["lora"])
    policy.load_weights(out)
    now = dict(policy.named_parameters())
    assert all(torch.equal(now[key], value) for key, value in trained(runs, "lora", 3).items())
    assert sorted(load_file(out / "adapter_model.safetensors")) == sorted(
        key.removeprefix("model.").replace(".default", "") for key in trained(runs, "lora", 3)
    )


def test_a_standardised_projector_is_written_as_a_plain_one(runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export.main([str(checkpoint(runs, "standardised", 2)), "--zero", "--out", str(out)]) == 0
    weights = load_file(out / "adapter_model.safetensors")
    weight, bias = (
        next(value for key, value in weights.items() if key.endswith(f"multi_modal_projector.linear.{part}"))
        for part in ("weight", "bias")
    )
    weights = trained(runs, "standardised", 2)
    raw, offset = (
        next(v for k, v in weights.items() if k.endswith(f"linear.{p}")) for p in ("weight", "bias")
    )
    torch.testing.assert_close(weight, raw / torch.linspace(0.5, 3, 128))
    moved = raw / torch.linspace(0.5, 3, 128) @ torch.linspace(-1, 1, 128)
    torch.testing.assert_close(bias, offset - moved, atol=1e-5, rtol=1e-4)


def test_a_fully_tuned_checkpoint_becomes_a_whole_model(runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export.main([str(checkpoint(runs, "whole", 1)), "--zero", "--out", str(out)]) == 0
    policy = policy_of(runs["whole"])
    policy.load_weights(out)
    now = dict(policy.named_parameters())
    assert all(torch.equal(now[key], value) for key, value in trained(runs, "whole", 1).items())


def test_a_checkpoint_that_lies_elsewhere_needs_its_run_named(runs: dict[str, Path], tmp_path: Path) -> None:
    moved = shutil.copytree(checkpoint(runs, "lora", 3), tmp_path / "moved")
    out = str(tmp_path / "out")
    with pytest.raises(InputError, match=r"moved lies in no run folder.* name it with --run RUN"):
        export.main([str(moved), "--zero", "--out", out])
    assert export.main([str(moved), "--zero", "--run", str(runs["lora"]), "--merged", "--out", out]) == 0
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_a_missing_or_cut_part_is_one_line(runs: dict[str, Path], tmp_path: Path) -> None:
    broken = shutil.copytree(checkpoint(runs, "lora", 3), tmp_path / "broken")
    part = broken / "checkpoint" / "zero_pp_rank_1_mp_rank_00_optim_states.pt"
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"cannot be put together: .*all processes there, and whole"):
        read_zero(broken)
    part.unlink()
    with pytest.raises(InputError, match=r"cannot be put together: Expected 2 .* but found 1 files"):
        read_zero(broken)


def test_a_checkpoint_of_another_policy_leaves_nothing(
    runs: dict[str, Path], make_run: MakeRun, tmp_path: Path
) -> None:
    command = [str(checkpoint(runs, "lora", 3)), "--zero", "--out", str(tmp_path / "out")]
    for options, expected in (
        (("--policy.adapter.rank=2",), r"is \[4, .*\] there and \[2, .*\] in the policy"),
        (("--policy.adapter.audio_tower=true",), "it lacks .*audio_tower"),
    ):
        other = make_run("other" + options[0][-1], *options, finished=False)
        with pytest.raises(InputError, match=f"the checkpoint is not of this policy: .*{expected}"):
            export.main([*command, "--run", str(other)])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_deepspeed_checkpoint_is_named(tmp_path: Path) -> None:
    plain = tmp_path / "last.ckpt"
    save_file({"x": torch.zeros(1)}, plain)
    with pytest.raises(
        InputError, match=r"last.ckpt is no DeepSpeed checkpoint folder: it is a file, as one process"
    ):
        read_zero(plain)
    with pytest.raises(InputError, match=r"it is without \*_optim_states.pt. Give RUN/checkpoints/NAME.ckpt"):
        read_zero(tmp_path)
    with pytest.raises(InputError, match="it is not there"):
        read_zero(tmp_path / "absent")


def test_without_deepspeed_one_line_says_how_it_is_installed(
    runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deepspeed.utils.zero_to_fp32", None)
    with pytest.raises(
        InputError, match=r"DS_BUILD_OPS=0 pip install --no-build-isolation deepspeed==0\.19\.8"
    ):
        read_zero(checkpoint(runs, "lora", 3))
