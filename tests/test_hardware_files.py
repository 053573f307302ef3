"""Files of configs/hardware go on top of policy, data and method, and change only how a run is divided."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lalm_ambig.configuration import parse
from lalm_ambig.configuration_files import config_folder
from lalm_ambig.runs.strategies import DEEPSPEED

CONFIGS = config_folder()
FILES = sorted((CONFIGS / "hardware").glob("*.yaml"))
TRAINER = {"accelerator", "devices", "num_nodes", "strategy", "precision", "accumulate_grad_batches"}
ITEMS_OF_A_STEP = 8
PAIRS = list(zip(FILES, ("sft", "dpo", "grpo", "grpoz", "shala"), strict=True))
"""Every file once, every kind of method once."""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_hardware_file_sets_the_trainer_and_the_batches_only(file: Path) -> None:
    content = read(file)
    assert set(content) == {"trainer", "data"}
    assert set(content["trainer"]) == TRAINER  # all: nothing of another hardware file stays behind
    assert set(content["data"]) == {"batch_size", "eval_batch_size"}
    strategy = content["trainer"]["strategy"]
    assert strategy in ("auto", "ddp", "fsdp2") or DEEPSPEED.fullmatch(strategy)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_hardware_file_keeps_eight_items_a_step(file: Path) -> None:
    content = read(file)
    trainer = content["trainer"]
    processes = trainer["devices"] * trainer["num_nodes"]
    assert processes * trainer["accumulate_grad_batches"] * content["data"]["batch_size"] == ITEMS_OF_A_STEP


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_hardware_file_says_what_it_is_for_and_that_it_is_untried(file: Path) -> None:
    head = file.read_text(encoding="utf-8").splitlines()[:3]
    assert all(line.startswith("# ") for line in head)
    assert head[2].startswith("# Nobody has run it on")


@pytest.mark.parametrize(("file", "method"), PAIRS, ids=lambda value: Path(value).stem)
def test_a_hardware_file_stacks_on_a_method(file: Path, method: str) -> None:
    below = [CONFIGS / "policy/tiny.yaml", CONFIGS / "data/demo.yaml", CONFIGS / f"method/{method}.yaml"]
    found = yaml.safe_load(parse([f"--config={path}" for path in (*below, file)]).resolved())
    base, demo, own, wanted = (read(path) for path in (CONFIGS / "base.yaml", *below[1:], file))
    expected = {
        "trainer": base["trainer"] | wanted["trainer"],
        "data": {"prompt": demo["data"]["prompt"]} | wanted["data"],
    }
    for kind, settings in expected.items():
        assert {name: found[kind][name] for name in settings} == settings
    assert found["model"]["class_path"] == own["model"]["class_path"]
    assert found["model"]["init_args"]["optimiser"] == own["model"]["init_args"]["optimiser"]
