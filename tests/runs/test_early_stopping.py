"""`run.patience`: when training ends early, that a resumed run counts on, and its part in the identity."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from lalm_ambig import fit
from lalm_ambig.config.callbacks import check_patience
from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.runs.checkpoints import callback as checkpointing
from lalm_ambig.runs.checkpoints.callback import BestWeights, StopEarly
from lalm_ambig.runs.checkpoints.selection import Selection, Validation
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.notices import selection_notices

CHOSEN = Selection(
    "direct/js_div_bits", 5, 5, None, {"js_div_bits": 0.4}, None, Validation(12, 5, {"js_div_bits": 0.2}), 6
)
MODULE = SimpleNamespace(spread=SimpleNamespace(items=5), policy=None)


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BestWeights:
    monkeypatch.setattr(checkpointing, "trained_weights", lambda _: {})
    monkeypatch.setattr(checkpointing, "write_weights", lambda path, _: path.parent.mkdir(exist_ok=True))
    return BestWeights(RunFolder(tmp_path), "direct/js_div_bits")


def validate(best: BestWeights, stop: StopEarly, values: list[float], *, first: int = 0) -> int | None:
    """The step at which training is told to end; None if it is not."""
    for step, value in enumerate(values, start=first):
        metrics = {"direct/js_div_bits": torch.tensor(value)}
        trainer = SimpleNamespace(
            global_step=step, callback_metrics=metrics, sanity_checking=False, should_stop=False
        )
        best.on_validation_end(trainer, MODULE)
        stop.on_validation_end(trainer, MODULE)
        if trainer.should_stop:
            return step
    return None


@pytest.mark.parametrize(
    ("patience", "values", "expected"),
    [
        (2, [0.5, 0.4, 0.41, 0.42, 0.1], 3),
        (2, [0.5, 0.6, 0.6], 2),
        (2, [0.5, 0.6, 0.4, 0.5, 0.3], None),
        (1, [0.5, 0.5], 1),
        (3, [0.5, float("nan"), 0.6, 0.7], 3),
        (3, [0.5, 0.4, 0.3], None),
    ],
)
def test_training_ends_after_as_many_validations_that_were_not_better(
    best: BestWeights, patience: int, values: list[float], expected: int | None
) -> None:
    said = io.StringIO()
    stop = StopEarly(best, patience, console=Console(file=said, width=200))
    assert validate(best, stop, values) == expected
    line = f"stopped early at step {expected}: none of the last {patience} validations was better by direct/js_div_bits"
    assert (line in said.getvalue()) is (expected is not None)


def test_a_run_that_goes_on_counts_on(best: BestWeights, tmp_path: Path) -> None:
    assert validate(best, StopEarly(best, 3, console=Console()), [0.5, 0.6, 0.6]) is None
    later = BestWeights(RunFolder(tmp_path), "direct/js_div_bits")
    later.load_state_dict(best.state_dict())
    assert validate(later, StopEarly(later, 3, console=Console()), [0.6], first=3) == 3


def test_the_results_tell_of_it(best: BestWeights) -> None:
    ended = replace(CHOSEN, stopped_at=24, waited=3)
    [*_, last] = [line for line in selection_notices(ended) if "stopped" in line]
    assert last.startswith("training stopped early at step 24: none of the last 3 validations was better by ")
    assert not any("stopped" in line for line in selection_notices(CHOSEN))
    stop = StopEarly(best, 1, console=Console(quiet=True))
    assert validate(best, stop, [0.5, 0.6]) == stop.stopped_at == 1


def test_it_makes_another_run_and_older_runs_keep_their_identity() -> None:
    plain = parse([]).identity()
    assert parse(["--run.patience=null"]).identity() == plain
    assert parse(["--run.patience=2"]).identity() != plain


@pytest.mark.parametrize("patience", ["0", "-1"])
def test_less_than_one_is_refused(patience: str) -> None:
    with pytest.raises(InputError, match=f"patience must be at least 1, got {patience}"):
        parse([f"--run.patience={patience}"])


def test_a_run_without_validations_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"run\.patience: it counts validations, and trainer\.limit_val_batches is 0"
    ):
        check_patience(2, {"limit_val_batches": 0})
    check_patience(None, {"limit_val_batches": 0})
    check_patience(2, {"limit_val_batches": None})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_that_gets_worse_ends_before_its_last_epoch(
    demo_root: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    words = [
        f"--data.corpus.root={demo_root}",
        "--data.limit=8",
        "--trainer.max_epochs=9",
        "--run.patience=1",
    ]
    words += [
        "--model.optimiser.learning_rate=1.0",
        "--trainer.accelerator=cpu",
        f"--run.root={tmp_path}",
        "--run.name=r",
    ]
    said = io.StringIO()
    fit.train(
        [*words, "--trainer.enable_progress_bar=false", "--run.probe=false"], Console(file=said, width=200)
    )
    assert "stopped early at step" in said.getvalue()
    told = (tmp_path / "r/results.md").read_text()
    assert "- training stopped early at step " in told and "(run.patience)" in told
    epochs = {line.split(",")[0] for line in (tmp_path / "r/metrics.csv").read_text().splitlines()[1:]}
    assert len(epochs - {""}) < 9 and (tmp_path / "r/results.md").is_file()
