"""The learning-rate range test: its curve and suggestion, and that it leaves no run."""

import math
from pathlib import Path

import pytest
from rich.console import Console

from lalm_ambig import fit
from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.runs.learning_rate import HIGHEST, LOWEST, RangeTest, RisingRate, range_test

STEPS = 50
RATES = tuple(LOWEST * (HIGHEST / LOWEST) ** (n / (STEPS - 1)) for n in range(STEPS))
NOISE = tuple(0.02 * math.sin(7 * n) for n in range(STEPS))


def losses(fall: float) -> tuple[float, ...]:
    """A loss that falls from 1e-5 to 1e-2 and rises after."""
    found = []
    for rate, noise in zip(RATES, NOISE, strict=True):
        place = math.log10(rate)
        loss = 1 - fall * min(max(place + 5, 0), 3) / 3 + (max(place + 2, 0) * 3) ** 2
        found.append(loss + noise)
    return tuple(found)


def test_the_rate_grows_by_one_factor_from_the_lowest_to_the_highest() -> None:
    rising = RisingRate(STEPS, 1e-4)
    assert [rising.rate(n) for n in (0, STEPS - 1)] == pytest.approx([LOWEST, HIGHEST])
    assert rising.rate(8) / rising.rate(7) == pytest.approx(rising.rate(31) / rising.rate(30))


def test_the_smoothed_loss_is_a_mean_without_a_bias_towards_zero() -> None:
    assert RangeTest(RATES[:3], (2.0, 2.0, 2.0)).smoothed == pytest.approx((2.0, 2.0, 2.0))
    assert RangeTest(RATES[:2], (1.0, 2.0)).smoothed == pytest.approx((1.0, (0.09 + 0.2) / 0.19))


def test_a_tenth_of_the_rate_with_the_lowest_loss_is_suggested() -> None:
    found = RangeTest(RATES, losses(fall=0.6)).suggested
    assert found is not None and 5e-4 < found < 5e-3


def test_nothing_is_suggested_where_the_loss_falls_no_further_than_its_noise() -> None:
    assert RangeTest(RATES, losses(fall=0.0)).suggested is None
    assert RangeTest(RATES, tuple(1.0 + n for n in range(STEPS))).suggested is None
    assert RangeTest(RATES[:9], losses(fall=0.6)[:9]).suggested is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_writes_its_losses_and_no_run(
    demo_root: Path,
    cache_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    words = [
        f"--data.corpus.root={demo_root}",
        "--data.limit=12",
        "--data.batch_size=2",
        "--data.items_per_update=4",
    ]
    words += [
        f"--run.root={tmp_path}",
        "--run.name=r",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
    ]
    assert fit.run_all([*words, "--find-lr=20"], Console()) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r-lr.csv", "r-lr.png", "r-lr.svg"]
    rows = (tmp_path / "r-lr.csv").read_text().splitlines()
    assert rows[0] == "step,learning_rate,loss,smoothed_loss,notes" and len(rows) <= 21
    said = " ".join(capsys.readouterr().out.split())
    assert "--model.optimiser.learning_rate" in said or "no suggestion" in said
    assert "compare some values near it by --sweep" in said


def test_a_method_that_samples_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"--find-lr: the loss of GRPO is of responses .* Compare .* --sweep"
    ):
        range_test(parse(["--config=configs/preset/demo_grpo.yaml"]), 20)


@pytest.mark.parametrize(
    "more", [["--seeds", "0", "1"], ["--folds", "all"], ["--sweep", "data.batch_size=1,2"]]
)
def test_it_is_for_one_run(more: list[str]) -> None:
    with pytest.raises(InputError, match="--find-lr: it is for one run"):
        fit.run_all(["--find-lr", *more], Console())


@pytest.mark.parametrize("steps", ["5", "0", "-3"])
def test_a_few_updates_are_refused(steps: str) -> None:
    with pytest.raises(InputError, match="--find-lr: expected at least 20 updates"):
        fit.run_all([f"--find-lr={steps}"], Console())


def test_it_is_no_part_of_a_run() -> None:
    cli = parse(["--find-lr"])
    assert cli.find_steps == 100
    assert cli.identity() == parse([]).identity() and "find_lr" not in cli.resolved()
