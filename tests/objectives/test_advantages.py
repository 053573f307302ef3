"""Advantages worked out by hand, and what each scale does to a weight that is constant within a group."""

import pytest
import torch

from lalm_ambig.objectives.advantages import EPSILON, advantages, without_spread

REWARDS = torch.tensor([[1.0, 2.0, 6.0], [0.0, 0.0, 3.0]])


def test_group_scale_is_the_sample_standard_score_of_each_group() -> None:
    """First group: mean 3, deviations −2, −1, 3, sample variance 14/2 = 7."""
    values = advantages(REWARDS)
    expected = torch.tensor([-2.0, -1.0, 3.0]) / (7**0.5 + EPSILON)
    torch.testing.assert_close(values[0], expected)
    torch.testing.assert_close(values[1], torch.tensor([-1.0, -1.0, 2.0]) / (3**0.5 + EPSILON))


def test_batch_scale_divides_by_the_deviation_over_all_groups() -> None:
    """All six: mean 2, squares 1+0+16+4+4+1 = 26, sample variance 26/5."""
    values = advantages(REWARDS, scale="batch")
    expected = torch.tensor([[-2.0, -1.0, 3.0], [-1.0, -1.0, 2.0]]) / ((26 / 5) ** 0.5 + EPSILON)
    torch.testing.assert_close(values, expected)


def test_no_scale_only_centres() -> None:
    assert advantages(REWARDS, scale="none").tolist() == [[-2.0, -1.0, 3.0], [-1.0, -1.0, 2.0]]


def test_a_trajectory_outside_the_baseline_still_has_an_advantage() -> None:
    """Baseline of the first two: mean 1.5, deviation 0.5·√2; the third stands 4.5 above."""
    baseline = torch.tensor([True, True, False])
    values = advantages(REWARDS[:1], baseline=baseline)
    deviation = 0.5**0.5 + EPSILON
    torch.testing.assert_close(values, torch.tensor([[-0.5, 0.5, 4.5]]) / deviation)


def test_a_group_without_spread_has_zero_advantages() -> None:
    flat = torch.full((1, 4), -2.5)
    assert advantages(flat).abs().max() < 1e-2
    assert without_spread(torch.cat([flat, torch.tensor([[1.0, 1.0, 1.0, 1.1]])])).tolist() == [True, False]


@pytest.mark.parametrize(("scale", "acts"), [("group", False), ("batch", True), ("none", True)])
def test_a_weight_that_is_constant_within_a_group_cancels_only_under_group_scale(
    scale: str, acts: bool
) -> None:
    weight = torch.tensor([[0.2], [0.9]])
    plain = advantages(REWARDS, scale=scale)  # type: ignore[arg-type]
    weighted = advantages(weight * REWARDS, scale=scale)  # type: ignore[arg-type]
    ratio = (weighted.abs().mean(-1) / plain.abs().mean(-1)).tolist()
    if acts:
        assert ratio[1] / ratio[0] == pytest.approx(4.5, rel=1e-3)
    else:
        assert ratio == pytest.approx([1.0, 1.0], rel=1e-3)
