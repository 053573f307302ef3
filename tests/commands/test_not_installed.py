"""Every command works in a copy of the package that pip has not installed, and says so in what it records."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lalm_ambig
from lalm_ambig.config.files import config_folder
from lalm_ambig.core import installation

HERE = Path(__file__).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and its configuration files alone: no pyproject.toml, no metadata."""
    source, folder = Path(lalm_ambig.__file__).parent, tmp_path / "copy"
    shutil.copytree(source, folder / "lalm_ambig", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(config_folder(), folder / "configs", dirs_exist_ok=True)
    return folder


@pytest.mark.slow
def test_every_command_works_in_a_copy_that_is_not_installed(
    copy: Path, cache_home: Path, demo_root: Path, tmp_path: Path
) -> None:
    run, out = tmp_path / "runs/r", tmp_path / "out"
    small = ["--trainer.max_steps=1", "--data.limit=4", "--trainer.enable_progress_bar=false"]
    clip = str(next(iter(sorted(demo_root.rglob("*.wav")))))
    corpus = ["--corpus", "demo", "--root", str(demo_root)]
    lines = {
        "fit": [
            *small,
            f"--data.corpus.root={demo_root}",
            f"--run.root={run.parent}",
            "--run.name=r",
            "--test",
        ],
        "evaluate": ["--run", str(run), "--out", str(out / "evaluate"), "--limit", "4"],
        "predict": [clip, "--run", str(run), "--json"],
        "baseline": ["prior", *corpus, "--limit", "4", "--out", str(out / "prior")],
        "compare": [str(run / "evaluation/validation/trained"), str(run / "evaluation/validation/base")],
        "report": [str(run), "--out", str(out / "report")],
        "describe": corpus,
        "budget": [*corpus, "--out", str(out / "budget")],
        "export": [str(run), "--merged", "--out", str(out / "merged")],
        "doctor": [],
        "study": ["--help"],
        "list": ["methods"],
        "completion": ["bash"],
        "serve": ["--help"],
    }
    commands = {file.stem for file in (copy / "lalm_ambig").glob("*.py")}
    assert set(lines) == commands - {"__init__", "__main__", "distributions"}, "all commands"
    done = subprocess.run(
        [sys.executable, str(HERE / "not_installed.py"), str(copy)],
        input=json.dumps([[name, *words] for name, words in lines.items()]),
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
        cwd=tmp_path,
        env={
            **os.environ,
            "XDG_CACHE_HOME": str(cache_home),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(copy),
            "COLUMNS": "200",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    codes = dict(zip(lines, map(json.loads, done.stdout.splitlines()), strict=True))
    assert codes == dict.fromkeys(lines, 0), done.stderr[-3000:]
    recorded = json.loads((run / "environment.json").read_text())["packages"]["lalm_ambig"]
    assert recorded == f"{lalm_ambig.__version__} (not installed)"


def test_the_line_of_an_extra_needs_no_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> list[str]:
        raise installation_error(name)

    from importlib.metadata import PackageNotFoundError as installation_error

    monkeypatch.setattr("importlib.metadata.requires", not_installed)
    monkeypatch.setattr(installation, "TREE", tmp_path)
    assert installation.extras() == {}
    assert installation.required() == {}
