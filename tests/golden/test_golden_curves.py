"""The first 30 steps of each method are those that the repository holds, and CHANGELOG.md names them.

Where this fails after a change that is meant to change training: `python tests/golden/write.py`, see README.md here.
"""

import math
from pathlib import Path

import pytest
from bands import EARLY_STEPS, farthest
from recipes import CHANGELOG, RECIPES, SEEDS, STEPS, Curves, declaration, stored, train


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", RECIPES)
def test_the_first_steps_are_the_stored_ones(
    name: str, tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    deviations = []
    for seed in SEEDS:  # the second only where the first is off
        new, old = train(name, tmp_path, seed=seed), stored(name, seed=seed)
        deviations.append(farthest(new, old, samples=RECIPES[name].samples))
        if max(deviations[-1].values()) <= 1:
            return
    pytest.fail(f"{name}, deviations in bands (see README.md) of either seed: {deviations}")


def test_the_changelog_names_the_stored_curves() -> None:
    assert declaration() in CHANGELOG.read_text(encoding="utf-8"), (
        f"the curves changed: CHANGELOG.md must say “{declaration()}” and what changed them"
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RECIPES)
def test_stored_curves_are_whole(name: str, seed: int) -> None:
    curves = stored(name, seed=seed)
    assert all(len(values) == STEPS for values in curves.values())
    assert {"lr-AdamW", "train/loss"} < set(curves)
    if name != "sft":  # which samples nothing
        assert "train/rollouts/js_div_bits" in curves
    if "grpo" in name:
        assert "train/reward" in curves


def agrees(new: Curves, name: str) -> bool:
    return max(farthest(new, stored(name), samples=RECIPES[name].samples).values()) <= 1


def changed(name: str, column: str, by: float, *steps: int) -> Curves:
    """The stored curves with values of one column multiplied at those steps."""
    curves = stored(name)
    for step in steps:
        curves[column][step] *= by
    return curves


def test_the_same_curves_agree() -> None:
    assert all(agrees(stored(name), name) for name in RECIPES)


@pytest.mark.parametrize(
    ("name", "column", "by", "steps", "is_same"),
    [
        ("sft", "train/loss", 1.001, (29,), True),
        ("sft", "train/loss", 1.02, (29,), False),
        ("grpo", "train/reward", 1.001, (3,), True),
        ("grpo", "train/reward", 1.02, (3,), False),
        ("grpo", "train/reward", 1.5, (20,), True),  # one step after a token that changed
        ("grpo", "train/reward", 1.5, tuple(range(EARLY_STEPS, STEPS)), False),
        ("grpo", "lr-AdamW", 1.01, (29,), False),
    ],
)
def test_early_steps_and_late_means_have_their_bands(
    name: str, column: str, by: float, steps: tuple[int, ...], is_same: bool
) -> None:
    assert agrees(changed(name, column, by, *steps), name) == is_same


def test_a_number_that_is_none_agrees_with_none_only() -> None:
    assert not agrees(changed("sft", "train/loss", math.nan, 3), "sft")
    old = changed("sft", "train/loss", math.nan, 3)
    assert max(farthest(old, old, samples=False).values()) == 0
