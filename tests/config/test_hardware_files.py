"""Files of configs/hardware go on top of policy, data and method, and change only how a run is divided."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.runs.batch_checks.update_size import divide_updates
from lalm_ambig.runs.processes.strategies import DEEPSPEED

CONFIGS = config_folder()
FILES = sorted((CONFIGS / "hardware").glob("*.yaml"))
TRAINER = {"accelerator", "devices", "num_nodes", "strategy", "precision"}
PAIRS = list(zip(FILES, ("sft", "dpo", "grpo", "grpoz", "shala"), strict=True))
"""Every file once, every kind of method once."""


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_hardware_file_sets_the_trainer_the_batches_and_what_is_computed_again_only(file: Path) -> None:
    content = read(file)
    assert {"trainer", "data"} <= set(content) <= {"trainer", "data", "policy"}
    computed_again = {"init_args": {"adapter": {"checkpoint_activations": True}}}
    assert content.get("policy", computed_again) == computed_again  # the same numbers in less memory
    assert set(content["trainer"]) == TRAINER  # all: nothing of another hardware file stays behind
    assert set(content["data"]) == {"batch_size", "eval_batch_size"}
    strategy = content["trainer"]["strategy"]
    assert strategy in ("auto", "ddp", "fsdp2") or DEEPSPEED.fullmatch(strategy)


ITEMS_OF_AN_UPDATE = {"shala/chaosnli_shala": 4, "shala/chaosnli_shala_batch": 4, "lalm/crema_d_grpo": 8}
"""Of presets of the papers. SHALA-LLM, App. D.2 names four prompts, and its own machine had two GPUs."""


def divided(preset: str, hardware: Path) -> tuple[int, int]:
    """Passes of an update, and items of one pass over all processes, of a preset on a machine."""
    cli = parse([f"--config={CONFIGS}/paper/{preset}.yaml", f"--config={hardware}", "--data.corpus.root=."])
    trainer = cli.config_init["trainer"]
    processes = trainer.devices * trainer.num_nodes
    divide_updates(cli.datamodule, trainer, world_size=processes)
    return trainer.accumulate_grad_batches, processes * cli.datamodule.batch_size


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize(("preset", "items"), ITEMS_OF_AN_UPDATE.items())
def test_an_update_has_the_presets_items_on_any_machine_or_is_refused(
    file: Path, preset: str, items: int
) -> None:
    processes = read(file)["trainer"]["devices"] * read(file)["trainer"]["num_nodes"]
    one_pass = processes * read(file)["data"]["batch_size"]
    if items % one_pass:
        with pytest.raises(
            InputError, match=rf"items_per_update is {items}, but 8 processes .* take {one_pass}"
        ):
            divided(preset, file)
    else:
        assert divided(preset, file) == (items // one_pass, one_pass)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_hardware_file_says_what_it_is_for_and_that_it_is_untried(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    head = list(itertools.takewhile(lambda line: line.startswith("# "), lines))
    assert len(head) >= 3
    assert sum(line.startswith("# Nobody has run it on") for line in head) == 1


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
    assert found["model"]["class_path"].rpartition(".")[2] == own["model"]["class_path"]
    optimiser = found["model"]["init_args"]["optimiser"]
    assert optimiser | own["model"]["init_args"]["optimiser"] == optimiser
