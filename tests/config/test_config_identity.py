"""Two configurations are one run only where nothing differs that changes a number."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.config.identity import (
    ADDED,
    ADDED_TO,
    EXCLUDED,
    NAMED_FILES,
    OBJECTS,
    WATCHING,
    counted,
    identity_of,
    leaves,
)

PRESETS = ("demo_dpo", "smollm2_chaosnli_json_shala")
CALLBACKS = "lightning.pytorch.callbacks"


@pytest.fixture(autouse=True)
def cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def preset(name: str) -> list[str]:
    root = ["--data.corpus.root", "somewhere"] if "chaosnli" in name else []
    return [f"--config={config_folder() / f'preset/{name}.yaml'}", *root]


def identity(*words: str) -> str:
    return parse([*preset("demo"), *words]).identity()


@cache
def demo() -> Any:
    """The demo's whole configuration."""
    return yaml.safe_load(parse(preset("demo")).resolved())


def of_demo() -> str:
    return identity_of(demo())


def changed(config: Any, key: str) -> Any:
    """A copy in which that leaf has a value that no setting has."""
    copy = deepcopy(config)
    *above, last = key.split(".")
    inner = copy
    for name in above:
        inner = inner[name]
    inner[last] = [{"class_path": "somewhere.Else"}] if key in OBJECTS else "something else"
    return copy


@pytest.mark.parametrize("name", PRESETS)
def test_every_setting_is_in_the_identity_or_left_out_for_a_reason(name: str) -> None:
    config = yaml.safe_load(parse(preset(name)).resolved())
    first, keys = identity_of(config), [key for key, _ in leaves(config)]
    assert {"seed", "data.limit", "model.init_args.optimiser.learning_rate", "trainer.max_epochs"} <= set(
        keys
    )
    for key in keys:
        assert (identity_of(changed(config, key)) != first) == (key not in EXCLUDED), key


def test_a_run_from_before_a_setting_was_added_keeps_its_identity() -> None:
    """A key that an older run lacks counts only where it changes what is computed."""
    seen = set()
    for name in ("demo", "demo_dpo", "demo_grpo", "smollm2_chaosnli_kl_only"):
        config = yaml.safe_load(parse(preset(name)).resolved())
        older, present = deepcopy(config), dict(leaves(config))
        method = config["model"]["class_path"].rpartition(".")[2]
        for key, value in (ADDED | ADDED_TO.get(method, {})).items():
            if key in present:
                assert present[key] == value, f"{key} has another default than what older runs computed"
                *above, last = key.split(".")
                inner = older
                for part in above:
                    inner = inner[part]
                del inner[last]
                seen.add(key)
        assert identity_of(older) == identity_of(config)
    # only of a run that names an engine (see test_config_engine), or reads JSON Lines or MSP-Podcast (their tests)
    engine = "model.init_args.engine"
    corpus = {f"data.corpus.init_args.{name}" for name in ("columns", "ordered", "other", "votes", "target")}
    named = {f"{engine}.class_path", f"{engine}.init_args.overlap", *corpus}
    assert seen == {*ADDED, *(key for keys in ADDED_TO.values() for key in keys)} - named
    sampling = "--model.sampling.max_new_tokens=9"
    assert identity(sampling) != of_demo(), "for SFT it counts where it is set"
    text = preset("smollm2_chaosnli_kl_only")
    assert parse([*text, "--policy.quantize=nf4"]).identity() != parse(text).identity()
    hearing = "--policy.audio_layers=[0]"
    assert identity(hearing) != of_demo()
    assert identity(hearing, "--model.optimiser.side_path_learning_rate=0.001") != identity(hearing)


def test_what_is_left_out_has_a_reason_and_is_a_setting() -> None:
    served = ["--model.engine=VLLM", "--model.engine.urls=[http://127.0.0.1:8000]"]
    with_engine = yaml.safe_load(parse([*preset("demo_grpo"), *served]).resolved())
    keys = {key for config in (demo(), with_engine) for key, _ in leaves(config)}
    assert set(EXCLUDED) - keys <= {"config", "allow_any_class"}
    assert all(len(reason.split()) > 1 for reason in (*EXCLUDED.values(), *WATCHING.values()))


def test_what_changes_no_number_is_the_same_run() -> None:
    words = [
        "--run.root=x",
        "--run.name=y",
        "--run.samples=1",
        "--run.probe=false",
        "--trainer.enable_progress_bar=false",
        "--trainer.log_every_n_steps=1",
        f"--trainer.callbacks={CALLBACKS}.RichProgressBar",
        f"--trainer.callbacks+={CALLBACKS}.LearningRateMonitor",
        "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
        "--trainer.logger.save_dir=x",
        "--data.workers=1",
        "--data.seed=0",
        "--seed_everything=0",
    ]
    assert identity(*words) == of_demo()


EARLY = [f"--trainer.callbacks={CALLBACKS}.EarlyStopping", "--trainer.callbacks.monitor=direct/js_div_bits"]
AVERAGED = [f"--trainer.callbacks={CALLBACKS}.StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.1"]


def test_a_callback_that_acts_makes_another_run_and_so_do_its_settings() -> None:
    bar = [f"--trainer.callbacks+={CALLBACKS}.RichProgressBar"]
    found = [
        identity(*words)
        for words in (EARLY, [*EARLY, "--trainer.callbacks.patience=1"], AVERAGED, ["--seed=1"])
    ]
    assert len({of_demo(), *found}) == 5
    assert identity(*EARLY, *bar) == found[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        [
            "--trainer.callbacks",
            f"{CALLBACKS}.GradientAccumulationScheduler",
            "--trainer.callbacks.scheduling={0: 2}",
        ],
        ["--trainer.callbacks", f"{CALLBACKS}.EMAWeightAveraging"],
        ["--trainer.callbacks", f"{CALLBACKS}.Timer"],
        ["--seed_everything", "1"],
        ["--data.limit", "5"],
        ["--data.annotators", "each"],
        ["--data.corpus.seed", "1"],
        ["--trainer.max_epochs", "77"],
        ["--trainer.limit_val_batches", "1"],
        ["--trainer.precision", "bf16-mixed"],
    ],
)
def test_what_changes_a_number_is_another_run(words: list[str]) -> None:
    assert identity(*words) != of_demo()


def test_a_watching_class_of_somebody_else_s_package_counts() -> None:
    config = deepcopy(demo())
    for path in ("somewhere.RichProgressBar", "lightning.pytorch.callbacks.RichProgressBarOfMine"):
        config["trainer"]["callbacks"] = [{"class_path": path}]
        assert identity_of(config) != of_demo()
    for key in ("callbacks", "logger"):  # one by itself, not in a list
        config["trainer"] |= {"callbacks": None, "logger": None, key: {"class_path": "somewhere.Mine"}}
        assert identity_of(config) != of_demo()


@pytest.mark.parametrize("key", NAMED_FILES)
def test_another_content_of_a_named_file_is_another_run(tmp_path: Path, key: str) -> None:
    config = deepcopy(demo())
    file = tmp_path / "given.txt"
    file.write_text("one")
    *above, last = key.split(".")
    inner = config
    for name in above:
        inner = inner[name]
    inner[last] = str(file)
    first = identity_of(config)
    assert identity_of(config) == first
    file.write_text("two")
    assert identity_of(config) != first


def test_a_rate_that_is_not_given_is_the_one_that_older_runs_wrote() -> None:
    older, newer, other = (
        {"model": {"class_path": "x.SFT", "init_args": {"optimiser": {"learning_rate": rate}}}}
        for rate in (1e-4, None, 2e-4)
    )
    assert counted(older) == counted(newer) != counted(other)
