"""Which validation is chosen, and what of that a saved state holds."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lalm_ambig.methods.sft import SFT
from lalm_ambig.runs.checkpoints import callback as checkpointing
from lalm_ambig.runs.checkpoints.callback import BestWeights, EndsAreCandidates
from lalm_ambig.runs.checkpoints.selection import Validation
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.training import Training

MODULE = SimpleNamespace(spread=SimpleNamespace(items=5), policy=None)


def trainer(step: int, value: float, **settings: Any) -> Any:
    metrics = {
        "direct/js_div_bits": torch.tensor(value),
        "direct/bc": torch.tensor(0.5),
        "train/kl": torch.tensor(1.0),
    }
    return SimpleNamespace(global_step=step, callback_metrics=metrics, sanity_checking=False, **settings)


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BestWeights:
    monkeypatch.setattr(checkpointing, "trained_weights", lambda _: {})
    monkeypatch.setattr(checkpointing, "write_weights", lambda path, _: path.parent.mkdir(exist_ok=True))
    return BestWeights(RunFolder(tmp_path), "direct/js_div_bits")


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.3, 0.2, 0.1], 2),
        ([0.3, 0.1, 0.2], 1),
        ([0.1, 0.2, 0.3], 0),
        ([0.2, 0.2, 0.2], 0),
        ([math.nan, 0.9, 1.0], 1),
        ([0.2, math.nan, 0.3], 0),
        ([math.nan, math.nan, math.nan], 0),
    ],
)
def test_the_lowest_value_is_chosen_the_start_among_them_and_of_equal_ones_the_first(
    best: BestWeights, values: list[float], step: int
) -> None:
    for number, value in enumerate(values):
        best.on_validation_end(trainer(number, value), MODULE)
    assert best.chosen is not None and best.start is not None
    assert (best.chosen.step, best.start.step, best.validations) == (step, 0, 3)
    assert best.chosen.metrics.keys() == {"js_div_bits", "bc"}
    assert best.chosen.items == 5


@pytest.mark.parametrize(
    ("parsed", "step"),
    [
        ((0.0, 0.75, 0.5), 1),  # a start that says nothing is read as uniform: 0.2
        ((0.0, 0.0, 0.0), 0),
        ((1.0, 1.0, 1.0), 0),
        ((0.5, 0.7, 1.0), 2),
        ((0.9, 0.95, 1.0), 0),
    ],
)
def test_answers_that_cannot_be_read_are_worse_than_any_other(
    best: BestWeights, parsed: tuple[float, ...], step: int
) -> None:
    for number, (value, share) in enumerate(zip((0.2, 0.35, 0.4), parsed, strict=True)):
        now = trainer(number, value)
        now.callback_metrics["direct/parsed"] = torch.tensor(share)
        best.on_validation_end(now, MODULE)
    assert best.chosen is not None and best.chosen.step == step
    assert best.best == pytest.approx((0.2, 0.35, 0.4)[step] + 1 - parsed[step])


def test_what_was_chosen_is_in_a_saved_state_also_of_an_older_version(
    best: BestWeights, tmp_path: Path
) -> None:
    best.on_validation_end(trainer(0, 0.25), MODULE)
    best.on_validation_end(trainer(4, 0.125), MODULE)
    other = BestWeights(RunFolder(tmp_path), best.monitor)
    other.load_state_dict(best.state_dict())
    assert (other.start, other.chosen, other.validations) == (best.start, best.chosen, 2)
    older = BestWeights(RunFolder(tmp_path), best.monitor)
    older.load_state_dict({"best": 0.125})
    assert (older.best, older.start) == (0.125, None)
    older.on_validation_end(trainer(9, 0.2), MODULE)
    assert older.chosen == Validation(-1, 0, {"js_div_bits": 0.125})
    older.load_state_dict({"best": None})
    assert older.best is None


@pytest.mark.parametrize(("step", "chosen", "expected"), [(0, False, 1), (3, False, 0), (0, True, 0)])
def test_only_a_new_run_is_validated_before_its_first_step_and_draws_nothing(
    best: BestWeights, step: int, chosen: bool, expected: int
) -> None:
    runs: list[int] = []
    if chosen:
        best.on_validation_end(trainer(0, 0.5), MODULE)
    loop = SimpleNamespace(run=lambda: runs.append(int(torch.rand(1) >= 0)))
    fit_loop = SimpleNamespace(epoch_loop=SimpleNamespace(val_loop=loop))
    logged = SimpleNamespace(_first_loop_iter="as it was")
    given = trainer(step, 0.5, fit_loop=fit_loop, _logger_connector=logged, enable_validation=True)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    EndsAreCandidates(best).on_train_start(given, MODULE)
    assert len(runs) == expected
    assert torch.equal(before, torch.get_rng_state())
    assert logged._first_loop_iter == "as it was"


@pytest.mark.parametrize(
    ("validated", "step", "enabled", "expected"),
    [((0, 2), 3, True, 1), ((0, 2), 2, True, 0), ((), 3, True, 1), ((0,), 3, False, 0)],
)
def test_the_last_step_is_validated_if_no_validation_was_there(
    best: BestWeights, validated: tuple[int, ...], step: int, enabled: bool, expected: int
) -> None:
    for at in validated:
        best.on_validation_end(trainer(at, 0.5), MODULE)
    runs: list[int] = []
    fit_loop = SimpleNamespace(
        epoch_loop=SimpleNamespace(val_loop=SimpleNamespace(run=lambda: runs.append(1)))
    )
    logged = SimpleNamespace(_first_loop_iter=None)
    given = trainer(step, 0.5, fit_loop=fit_loop, _logger_connector=logged, enable_validation=enabled)
    EndsAreCandidates(best).on_train_end(given, MODULE)
    assert len(runs) == expected


def test_what_is_saved_at_the_end_is_the_best_validation_and_not_the_last(tmp_path: Path) -> None:
    """In memory, which `trained` is evaluated with, as well as on disk."""
    run, saved = RunFolder(tmp_path), dict[str, Any]()
    model = SFT.__new__(SFT)  # of which only the policy is needed
    torch.nn.Module.__init__(model)
    policy: Any = torch.nn.Linear(2, 1, bias=False)
    policy.save = lambda _: saved.update(weights=policy.weight.detach().clone())
    model.policy = policy
    run.best.parent.mkdir(parents=True)
    save_file({"weight": torch.full((1, 2), 0.5)}, run.best)
    training: Any = SimpleNamespace(run=run, model=model)
    training._save_adapter = lambda: Training._save_adapter(training)
    Training._save_best(training, SimpleNamespace(strategy=None))
    assert torch.equal(policy.weight, torch.full((1, 2), 0.5))
    assert torch.equal(saved["weights"], policy.weight)
