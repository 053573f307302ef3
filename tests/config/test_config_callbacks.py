"""Every callback and logger that Lightning offers works, or is refused in one line before anything is read."""

from typing import Any

import pytest
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, RichProgressBar, TQDMProgressBar

from lalm_ambig.config.callbacks import check_callbacks, listed, usable_callbacks
from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.suggestions import class_names
from lalm_ambig.core.errors import InputError

MINIMAL = {
    "EarlyStopping": ["monitor=direct/js_div_bits"],
    "GradientAccumulationScheduler": ["scheduling={0: 1}"],
    "OnExceptionCheckpoint": ["dirpath=x"],
    "StochasticWeightAveraging": ["swa_lrs=0.01"],
    "ModelPruning": ["pruning_fn=l1_unstructured"],
    "ModelSummary": ["max_depth=1"],
}
"""Settings without which a callback is not made."""
SHOWN = [
    "--trainer.enable_progress_bar=true",
    "--trainer.enable_model_summary=true",
    "--data.items_per_update=null",
]
PLAIN = {"callbacks": None, "logger": None, "limit_val_batches": None, "accumulate_grad_batches": None}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def plain() -> Cli:
    """The demo's configuration, with no number of items an update."""
    return parse(["--data.items_per_update=null"])


def checked(*words: str) -> list[Any]:
    """The callbacks of those words, as far as `fit` looks at them before it reads anything."""
    cli = parse(words)
    settings = vars(cli.config_init["trainer"])
    check_callbacks(settings, cli.model, cli.datamodule)
    cli.make_trainer(callbacks=listed(settings["callbacks"]), logger=False, enable_checkpointing=False)
    return listed(settings["callbacks"])


@pytest.mark.parametrize("name", [n for n in lightning_callbacks.__all__ if n != "ThroughputMonitor"])
def test_each_callback_of_lightning_is_taken_or_refused(name: str) -> None:
    words = [
        f"--trainer.callbacks+={name}",
        *(f"--trainer.callbacks.{each}" for each in MINIMAL.get(name, ())),
    ]
    if name in usable_callbacks():
        made = checked(*words, *SHOWN)
        assert [type(callback).__name__ for callback in made] == [name]
    else:
        with pytest.raises(InputError) as raised:
            checked(*words, *SHOWN)
        assert "\n" not in str(raised.value) and str(raised.value).startswith(
            ("trainer.callbacks: ", "configuration: ")
        )


@pytest.mark.parametrize("name", class_names("trainer.logger"))
def test_each_logger_is_made_or_its_package_is_named(name: str, tmp_path: Any) -> None:
    words = [f"--trainer.logger={name}"]
    if name in ("CSVLogger", "TensorBoardLogger"):
        with pytest.raises(InputError, match=rf"--trainer.logger.save_dir is missing: {name} needs it"):
            parse(words)
        assert checked(*words, f"--trainer.logger.save_dir={tmp_path}") == []
        return
    try:
        parse(words)
    except InputError as error:
        assert "\n" not in str(error)
        assert f"{name} needs " in str(error) and "which is not installed. Run: pip install " in str(error)


def test_a_callback_may_stand_by_itself_or_in_a_list() -> None:
    alone, both = LambdaCallback(), [LambdaCallback(), LambdaCallback()]
    assert listed(None) == [] and listed(False) == [] and listed(alone) == [alone] and listed(both) == both
    assert len(checked("--trainer.callbacks=LambdaCallback")) == 1
    assert len(checked("--trainer.callbacks=[LambdaCallback, LearningRateMonitor]")) == 2


@pytest.mark.parametrize(
    ("callbacks", "settings", "expected"),
    [
        (EarlyStopping("val/nope"), {}, r"has no metric 'val/nope'. Set monitor to direct/js_div_bits"),
        (EarlyStopping("direct/js_div"), {}, r"Set monitor to direct/js_div_bits"),
        (EarlyStopping("generated/bc"), {}, r"has no metric 'generated/bc'"),
        (
            EarlyStopping("direct/rps"),
            {},
            r"direct/rps, which needs ordered classes; those of demo have none",
        ),
        (EarlyStopping("direct/tokens"), {}, r"has no metric 'direct/tokens'"),
        (
            EarlyStopping("direct/class_mass"),
            {},
            r"direct/class_mass is better the larger it is, and mode is min",
        ),
        (
            EarlyStopping("direct/accuracy"),
            {},
            r"better the larger it is, and mode is min: .* Set mode to max",
        ),
        (EarlyStopping("direct/kl", mode="max"), {}, r"better the smaller it is, and mode is max"),
        (EarlyStopping("direct/kl"), {"limit_val_batches": 0}, r"trainer.limit_val_batches is 0"),
        (
            [RichProgressBar(), TQDMProgressBar()],
            {},
            "RichProgressBar and TQDMProgressBar are two progress bars",
        ),
        (TQDMProgressBar(), {"enable_progress_bar": False}, r"trainer.enable_progress_bar is false"),
        (
            lightning_callbacks.ModelSummary(),
            {"enable_model_summary": False},
            "enable_model_summary is false",
        ),
        (
            lightning_callbacks.GradientAccumulationScheduler({0: 2}),
            {"accumulate_grad_batches": 4},
            r"so does trainer.accumulate_grad_batches \(4\)",
        ),
    ],
)
def test_settings_that_do_not_go_together(
    plain: Cli, callbacks: Any, settings: dict[str, Any], expected: str
) -> None:
    trainer = {
        **PLAIN,
        "enable_progress_bar": None,
        "enable_model_summary": None,
        "callbacks": callbacks,
        **settings,
    }
    with pytest.raises(InputError, match=expected):
        check_callbacks(trainer, plain.model, plain.datamodule)


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("direct/js_div_bits", "min"),
        ("direct/accuracy", "max"),
        ("direct/class_mass", "max"),
        ("train/loss", "min"),
    ],
)
def test_a_metric_that_is_there_may_stop_training(plain: Cli, monitor: str, mode: str) -> None:
    settings = {**vars(plain.config_init["trainer"]), "callbacks": EarlyStopping(monitor, mode=mode)}
    check_callbacks(settings, plain.model, plain.datamodule)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--trainer.barebones=true"], "trainer: `Trainer.barebones=True"),
        (["--trainer.profiler=foo"], "trainer: .*profiler"),
        (["--trainer.fast_dev_run=-1"], "trainer: fast_dev_run=-1"),
        (["--trainer.limit_val_batches=7.5"], "trainer: .*7.5"),
        (["--trainer.max_time={dayz: 3}"], "trainer: .*dayz"),
    ],
)
def test_what_lightning_refuses_is_one_line(words: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        checked(*words)
    assert "\n" not in str(raised.value)


def test_a_defect_of_ours_keeps_its_traceback(plain: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "instantiate_trainer", lambda: int("ours"))
    with pytest.raises(ValueError, match="ours") as raised:
        plain.make_trainer()
    assert not isinstance(raised.value, InputError)


def test_form_and_length_may_stop_training_where_the_policy_writes() -> None:
    reasoning = parse(["--model.reasoning=true"])
    for monitor, mode in (
        ("well_formed", "max"),
        ("tokens", "min"),
        ("tokens", "max"),
        ("class_mass", "max"),
    ):
        settings = {**PLAIN, "callbacks": EarlyStopping(f"generated/{monitor}", mode=mode)}
        check_callbacks(settings, reasoning.model, reasoning.datamodule)
    for monitor in ("curated/well_formed", "generated/parsed"):
        with pytest.raises(InputError, match="has no metric"):
            settings = {**PLAIN, "callbacks": EarlyStopping(monitor, mode="max")}
            check_callbacks(settings, reasoning.model, reasoning.datamodule)
