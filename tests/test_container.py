"""The container files: no engine builds them in tests, so that what they name exists is checked here."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "Containerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def stages() -> list[str]:
    return re.findall(r"^FROM \S+ AS (\w+)$", TEXT, re.MULTILINE)


def test_every_stage_that_is_used_is_defined_before() -> None:
    assert stages() == ["wheel", "use", "dev"]
    used = re.findall(r"--from=(\w+)", TEXT) + re.findall(r"^FROM (\w+) AS", TEXT, re.MULTILINE)
    assert used
    assert set(used) <= set(stages())


def test_the_extras_that_are_installed_exist() -> None:
    extras = re.findall(r"\*\.whl\)\[([\w,]+)\]", TEXT)
    assert extras
    assert {name for one in extras for name in one.split(",")} <= set(PROJECT["optional-dependencies"])


def test_the_entry_point_is_the_project_s_command() -> None:
    (command,) = re.findall(r'^ENTRYPOINT \["([^"]+)"\]$', TEXT, re.MULTILINE)
    assert command in PROJECT["scripts"]


def test_the_python_is_one_that_the_project_supports() -> None:
    versions = re.findall(r"^FROM python:(\d+)\.(\d+)-slim", TEXT, re.MULTILINE)
    least = tuple(map(int, re.findall(r"\d+", PROJECT["requires-python"])))
    assert versions
    assert all(tuple(map(int, version)) >= least for version in versions)


def test_the_dev_container_builds_a_stage_and_makes_a_target_that_exist() -> None:
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text())
    assert (folder / settings["build"]["dockerfile"]).resolve() == ROOT / "Containerfile"
    assert (folder / settings["build"]["context"]).resolve() == ROOT
    assert settings["build"]["target"] in stages()
    assert f"useradd --create-home {settings['remoteUser']}" in TEXT
    target = settings["postCreateCommand"].removeprefix("make ")
    assert f"\n{target.replace('.venv', '$(VENV)')}:" in (ROOT / "Makefile").read_text()


@pytest.mark.slow
def test_the_files_that_reach_the_image_make_a_whole_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"
    kept = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in kept:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        source.mkdir(exist_ok=True)
        copy(ROOT / name, source / name)
    made = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), "."]
    subprocess.run(made, cwd=source, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"lalm_ambig/fit.py", "data_curation/__main__.py", "lalm_ambig/configs/base.yaml"} <= names
    inside = {f"lalm_ambig/{path.relative_to(ROOT)}" for path in (ROOT / "configs").rglob("*.yaml")}
    assert inside <= names
