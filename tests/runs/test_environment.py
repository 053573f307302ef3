"""What a number was made with is kept, and going on elsewhere is noticed."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.runs.folder.environment import PACKAGES, differences, environment
from lalm_ambig.runs.folder.run_folder import RunFolder

TRAINER = SimpleNamespace(
    strategy=SimpleNamespace(root_device=torch.device("cpu")), precision="bf16-mixed", world_size=1
)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_threads_devices_versions_precision_and_processes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = environment("0123", TRAINER)
    assert found["threads"]["torch"] == torch.get_num_threads()
    assert found["threads"]["torch_interop"] == torch.get_num_interop_threads()
    assert found["threads"]["OMP_NUM_THREADS"] == "3"
    assert found["device"]["kind"] == "cpu"
    assert (found["precision"], found["processes"], found["identity"]) == ("bf16-mixed", 1, "0123")
    assert set(PACKAGES) <= set(found["packages"])
    assert found["packages"]["torch"] == torch.__version__.partition("+")[0] or torch.__version__
    json.dumps(found)
    user = os.environ.get("USER")
    assert not user or user == "root" or user not in json.dumps(found)


def test_only_what_both_environments_know_and_can_change_a_number_is_compared() -> None:
    before = environment("0123", TRAINER)
    assert differences(before, environment("4567", TRAINER)) == []
    now = json.loads(json.dumps(before))
    now["python"] = "4.0"
    del now["packages"]["scipy"]
    assert differences(before, now) == []
    now["packages"]["torch"] = "9.9"
    now["threads"]["torch"] = 64
    now["device"] |= {"kind": "cuda", "names": ["A"]}
    found = differences({**before, "precision": "32-true"}, now)
    assert found[0].endswith("→ 9.9") and found[0].startswith("torch ")
    assert found[1] == f"threads torch {torch.get_num_threads()} → 64"
    assert found[2:] == ["device kind cpu → cuda", "precision 32-true → bf16-mixed"]
    assert (
        differences({"identity": "0", "packages": {"torch": "9.9"}, "git": None}, {**now, "git": None}) == []
    )


def test_a_run_keeps_its_first_environment_and_those_in_which_it_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path / "r")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run.record("seed: 0\n", "0123", trainer=TRAINER) == []
    first = json.loads(run.recorded.read_text())
    assert run.record("seed: 0\n", "0123", trainer=TRAINER) == []
    assert json.loads(run.recorded.read_text()) == first
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    for _ in range(2):
        assert run.record("seed: 0\n", "0123", trainer=TRAINER) == ["OMP_NUM_THREADS 1 → 2"]
    kept = json.loads(run.recorded.read_text())
    later = kept.pop("later")
    assert kept == first
    assert [other["threads"]["OMP_NUM_THREADS"] for other in later] == ["2"]


def test_a_run_of_an_older_version_goes_on_where_its_configuration_is_the_same(tmp_path: Path) -> None:
    cli = parse([])
    run = RunFolder(tmp_path / "r")
    run.record(cli.resolved(), cli.identity())
    recorded = json.loads(run.recorded.read_text())
    del recorded["identity_rules"]
    run.recorded.write_text(json.dumps({**recorded, "identity": "ffffffff"}))
    config = yaml.safe_load(run.config.read_text())
    config["seed_everything"] = config.pop("seed")
    config["data"]["seed"] = 0
    run.config.write_text(yaml.safe_dump(config))
    assert run.state_for(cli.identity()) == "new"
    with pytest.raises(InputError, match="holds a run with another configuration"):
        run.state_for(parse(["--seed", "1"]).identity())
    config["data"]["batch_size"] = 3
    run.config.write_text(yaml.safe_dump(config))
    with pytest.raises(InputError, match="holds a run with another configuration"):
        run.state_for(cli.identity())
