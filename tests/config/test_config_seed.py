"""One seed of a run: two names, one value, and everything that is drawn follows it."""

import re
from pathlib import Path

import pytest
import torch
import yaml

from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError

GRPO = f"--config={config_folder() / 'preset/demo_grpo.yaml'}"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def older(folder: Path, **changed: object) -> str:
    """A run's configuration as earlier versions wrote it, with a seed for each part."""
    content = yaml.safe_load(parse([GRPO]).resolved())
    content.pop("seed")
    content["seed_everything"] = changed.get("seed_everything", 0)
    content["data"]["seed"] = changed.get("data", 0)
    content["model"]["init_args"]["sampling"]["seed"] = changed.get("sampling", 0)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return f"--config={path}"


def seeds(cli: Cli) -> set[int | None]:
    """Of the order of the items, of sampled responses, and of what torch draws: adapter, projector, dropout."""
    return {cli.datamodule.seed, cli.model.sampling.seed, torch.initial_seed()}


@pytest.mark.parametrize(
    "words",
    [["--seed", "7"], ["--seed=7"], ["--seed_everything", "7"], ["--seed=7", "--seed_everything=7"]],
)
def test_both_names_of_the_seed_reach_everything_that_is_drawn(words: list[str]) -> None:
    cli = parse([GRPO, *words])
    assert seeds(cli) == {7}
    assert cli.datamodule.corpus.seed == 0
    assert cli.model.policy.seed == 0
    assert cli.identity() == parse([GRPO, "--seed", "7"]).identity() != parse([GRPO]).identity()


def test_without_a_number_the_seed_is_0_also_where_no_sampling_is_configured() -> None:
    assert seeds(parse([GRPO])) == {0}
    dpo = f"--config={config_folder() / 'preset/demo_dpo.yaml'}"
    assert seeds(parse([dpo, "--model.sampling", "null", "--seed=4"])) == {4}


@pytest.mark.slow
def test_a_later_file_or_option_wins_whichever_name_it_uses(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("seed_everything: 3\n")
    second.write_text("seed: 4\n")
    assert seeds(parse([GRPO, f"--config={first}"])) == {3}
    assert seeds(parse([GRPO, f"--config={first}", f"--config={second}"])) == {4}
    assert seeds(parse([GRPO, f"--config={second}", f"--config={first}"])) == {3}
    assert seeds(parse([GRPO, f"--config={first}", "--seed", "9"])) == {9}
    assert seeds(parse([GRPO, f"--config={second}", "--seed_everything", "9"])) == {9}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--seed", "1", "--seed_everything", "2"],
            "command line: seed 1 and seed_everything 2 are one setting",
        ),
        (["--seed", "-1"], "seed must be from 0 to 4294967295, got -1"),
        (["--seed", str(2**32)], "seed must be from 0 to 4294967295, got 4294967296"),
        (["--seed", "1.5"], r"seed: expected .* whole number, got 1.5"),
    ],
)
def test_a_seed_that_is_none_is_refused(words: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        parse([GRPO, *words])


def test_a_file_with_two_values_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "both.yaml"
    file.write_text("seed: 1\nseed_everything: 2\n")
    with pytest.raises(InputError, match=r"both.yaml: seed 1 and seed_everything 2 are one setting"):
        parse([GRPO, f"--config={file}"])
    file.write_text("seed: 2\nseed_everything: 2\n")
    assert seeds(parse([GRPO, f"--config={file}"])) == {2}


def test_an_older_configuration_is_the_same_run_where_its_seeds_agree(tmp_path: Path) -> None:
    cli = parse([older(tmp_path)])
    cli.check_seed()
    assert seeds(cli) == {0}
    assert cli.identity() == parse([GRPO]).identity()
    assert "seed_everything" not in cli.resolved()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "key"), [({"data": 5}, "data.seed"), ({"sampling": 5}, "model.sampling.seed")]
)
def test_an_older_configuration_with_several_seeds_loads_but_is_not_trained(
    tmp_path: Path, changed: dict[str, int], key: str
) -> None:
    cli = parse([older(tmp_path, **changed)])
    with pytest.raises(InputError, match=f"{key} is 5, but the run's one seed is 0: leave it out") as refused:
        cli.check_seed()
    remedy = re.findall(r"--\S+=\d", str(refused.value))
    cured = parse([older(tmp_path, **changed), *remedy])
    cured.check_seed()
    assert seeds(cured) == {0}


@pytest.mark.parametrize("value", [True, False])
def test_a_run_without_a_seed_loads_but_is_not_trained(tmp_path: Path, value: bool) -> None:
    cli = parse([older(tmp_path, seed_everything=value)])
    assert seeds(cli) == {0}
    with pytest.raises(InputError, match=f"seed must be a whole number, got {str(value).lower()}"):
        cli.check_seed()
