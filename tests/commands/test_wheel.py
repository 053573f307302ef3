"""A wheel is built, installed in a folder of its own, and used from there: commands, help and files by name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lalm_ambig

ROOT = Path(lalm_ambig.__file__).parents[1]


def ran(command: list[str], **settings: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **settings)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}: {done.stdout[-1000:]}{done.stderr[-2000:]}"
    return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs, and nothing of what it requires."""
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    ran([*pip, "wheel", "--no-deps", "--wheel-dir", str(place), str(ROOT)])
    [wheel] = place.glob("lalm_ambig-*.whl")
    ran([*pip, "install", "--no-deps", "--target", str(place / "site"), str(wheel)])
    return place / "site"


@pytest.mark.slow
def test_a_wheel_works_from_anywhere(
    installed: Path, cache_home: Path, demo_root: Path, tmp_path: Path
) -> None:
    script = installed / "bin/lalm-ambig"
    settings = {
        "cwd": tmp_path,
        "env": {
            **os.environ,
            "PYTHONPATH": str(installed),
            "XDG_CACHE_HOME": str(cache_home),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        },
    }
    where = "import lalm_ambig; print(lalm_ambig.__file__)"
    assert str(installed) in ran([sys.executable, "-c", where], **settings).stdout
    command = [sys.executable, str(script)]
    assert "curate" in ran([*command, "--help"], **settings).stdout
    assert "--model.grouping.group_size" in ran([*command, "list", "methods", "GRPO"], **settings).stdout
    assert "write reasoning" in ran([*command, "curate", "--help"], **settings).stdout
    assert "paper/lalm/crema_d_grpoz" in ran([*command, "list", "presets"], **settings).stdout
    small = ["--trainer.max_steps=1", "--data.limit=4", "--trainer.enable_progress_bar=false", "--run.name=r"]
    chosen = [
        "--policy",
        "tiny",
        "--data",
        "demo",
        "--method",
        "sft_kl_only",
        "--data.corpus.root",
        str(demo_root),
    ]
    fitted = ran([*command, "fit", *chosen, *small], **settings)
    assert (tmp_path / "runs/r/config.yaml").is_file()
    assert "lalm-ambig evaluate --run" in fitted.stdout and "python -m" not in fitted.stdout
    clip = str(next(iter(sorted(demo_root.rglob("*.wav")))))
    assert (
        "predicted_dist" in ran([*command, "predict", clip, "--run", "runs/r", "--json"], **settings).stdout
    )
    resolved = ran(
        [*command, "fit", "--preset", "paper/lalm/crema_d_grpoz", "--data.corpus.root=.", "--print_config"],
        **settings,
    ).stdout
    assert "GRPO" in resolved and "Qwen2Audio" in resolved


@pytest.mark.slow
def test_a_mistake_at_the_door_is_one_line(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(installed / "bin/lalm-ambig")]
    for words, shown in (
        (["trian"], "unknown command"),
        (["predict", "x.wav"], "missing: --run DIR"),
        (["curate", "wrte"], "did you mean write?"),
    ):
        done = subprocess.run(
            [*command, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
        )
        assert done.returncode == 2 and shown in done.stderr and len(done.stderr.splitlines()) == 1, (
            done.stderr
        )
