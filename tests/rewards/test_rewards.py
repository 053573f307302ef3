"""Rewards by hand, and what holds for every one of them."""

import importlib
import inspect
import math
import pkgutil

import pytest
import torch
from response_groups import LABEL, scored, stated

import lalm_ambig.rewards
from lalm_ambig.core.distributions import normalised_entropy
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Groups, Item
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.brier import Brier
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.shala import Shala
from lalm_ambig.rewards.total import compute_rewards, total_reward, upper_bound

ITEMS = (Item("a", (1.0, 1.0)), Item("b", (2.0, 0.0)))
SMOOTHED = 2 * 1e-3
"""What a distribution over two classes stated in words can lose by the smoothing, in nats, at most."""


def reward_classes() -> list[type[Reward]]:
    rewards = []
    for module in pkgutil.iter_modules(lalm_ambig.rewards.__path__):
        loaded = importlib.import_module(f"lalm_ambig.rewards.{module.name}")
        classes = [
            c for _, c in inspect.getmembers(loaded, inspect.isclass) if c.__module__ == loaded.__name__
        ]
        rewards += [c for c in classes if issubclass(c, Reward) and not inspect.isabstract(c)]
    return rewards


by_itself = [cls for cls in reward_classes() if cls().smallest_group == 1]  # type: ignore[call-arg]
every_reward = pytest.mark.parametrize("cls", by_itself, ids=lambda cls: cls.__name__)
"""Those that judge each response by itself; the others have tests of their own."""

EXAMPLE = scored(
    [[[0.0, 0.0], [math.log(3), 0.0]], [[math.log(3), 0.0], [0.0, 5.0]]], [[True, False], [False, True]]
)


def candidates() -> torch.Tensor:
    """For each item p, everything on either class, everything on the majority, and some others."""
    torch.manual_seed(0)
    others = torch.distributions.Dirichlet(torch.full((2,), 0.5)).sample((2, 4))
    corners = torch.eye(2).expand(2, 2, 2)
    return torch.cat([LABEL[:, None], corners, others], dim=1)


def both_readouts(dist: torch.Tensor) -> list[Groups]:
    formed = [[True] * dist.shape[1]] * len(dist)
    return [scored(dist.clamp(min=1e-9).log().tolist(), formed), stated(dist.tolist())]


def test_agreement_is_minus_the_forward_divergence() -> None:
    """p=(½,½): p̂=(½,½) earns 0, p̂=(¾,¼) −0.14384; p=(1,0): p̂=(¾,¼) −log(4/3)."""
    values = Agreement()(EXAMPLE, LABEL)
    assert values[0].tolist() == pytest.approx([0.0, -0.143841], abs=1e-5)
    assert float(values[1, 0]) == pytest.approx(-math.log(4 / 3), abs=1e-5)
    assert float(values[1, 1]) == pytest.approx(-math.log(1 + math.exp(5)), abs=1e-4)


def test_agreement_of_a_stated_distribution_is_smoothed_and_capped() -> None:
    """p̂=(1,0) is smoothed to (1.001, 0.001)/1.002: −2.76223 for p=(½,½), −0.000999 for p=(1,0); (0,1) costs −6.9098."""
    example = stated([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.0, 1.0]]])
    assert Agreement()(example, LABEL)[0].tolist() == pytest.approx([-2.762229, 0.0], abs=1e-5)
    assert Agreement()(example, LABEL)[1].tolist() == pytest.approx([-0.0009985, -5.0], abs=1e-6)
    assert float(Agreement(kl_cap=8.0)(example, LABEL)[1, 1]) == pytest.approx(-6.909753, abs=1e-5)


def test_the_cap_is_not_for_logits() -> None:
    far = scored([[[0.0, 0.0]], [[0.0, 9.0]]], [[True], [True]])
    assert float(Agreement(kl_cap=0.1)(far, LABEL)[1, 0]) == pytest.approx(
        -math.log(1 + math.exp(9)), abs=1e-4
    )


@pytest.mark.parametrize("cap", [0.0, -1.0, math.inf, math.nan])
def test_a_cap_that_is_none_is_refused(cap: float) -> None:
    with pytest.raises(InputError, match=rf"kl_cap must be positive, got {cap}"):
        Agreement(kl_cap=cap)


def test_format_is_one_or_nothing() -> None:
    assert Format()(EXAMPLE, LABEL).tolist() == [[1.0, 0.0], [0.0, 1.0]]


@every_reward
def test_no_response_earns_more_than_upper_bound_and_the_best_one_earns_it(cls: type[Reward]) -> None:
    reward = cls()  # type: ignore[call-arg]
    best = reward.upper_bound(LABEL)
    for example in both_readouts(candidates()):
        values = reward(example, LABEL)
        assert (values <= best[:, None] + 1e-5).all()
        torch.testing.assert_close(values.max(-1).values, best, atol=SMOOTHED, rtol=0)
    assert reward.name == cls.__module__.rpartition(".")[2]


@pytest.mark.parametrize("reward", [Agreement(), Brier(), Shala(), Shala(ambiguity=False), Format()])
def test_what_people_say_earns_most(reward: Reward) -> None:
    for example in both_readouts(LABEL[:, None]):
        torch.testing.assert_close(
            reward(example, LABEL)[:, 0], reward.upper_bound(LABEL), atol=SMOOTHED, rtol=0
        )


@every_reward
def test_an_unparsable_response_earns_the_minimum_and_is_never_the_best(cls: type[Reward]) -> None:
    """Uniform stands in its place, which for p=(½,½) would be the best answer of all."""
    reward = cls()  # type: ignore[call-arg]
    dist = torch.cat([torch.full((2, 1, 2), 0.5), candidates()], dim=1)
    reasons: list[str | None] = ["no object"] + [None] * (dist.shape[1] - 1)
    values = reward(stated(dist.tolist(), [reasons, reasons]), LABEL)
    assert values[:, 0].tolist() == [reward.minimum] * 2
    parsed = values[:, 1:]
    assert (parsed >= reward.minimum).all()
    all_minimal = (parsed == reward.minimum).all(-1)
    assert all_minimal.tolist() == reward.always_zero(LABEL).tolist()
    assert (values[:, 0] < parsed.max(-1).values)[~all_minimal].all()


@every_reward
def test_a_response_earns_the_same_in_any_company(cls: type[Reward]) -> None:
    reward, dist = cls(), candidates()  # type: ignore[call-arg]
    order = torch.tensor([3, 0, 6, 2, 5, 1, 4])
    for groups, shuffled in zip(both_readouts(dist), both_readouts(dist[:, order]), strict=True):
        torch.testing.assert_close(reward(groups, LABEL)[:, order], reward(shuffled, LABEL))


@every_reward
def test_always_zero_items_are_those_on_which_nothing_can_be_earned(cls: type[Reward]) -> None:
    reward = cls()  # type: ignore[call-arg]
    assert (reward.upper_bound(LABEL)[reward.always_zero(LABEL)] == 0).all()
    assert reward.always_zero(LABEL).any() <= reward.constant_per_item


def test_only_shala_weighs_items() -> None:
    weighing = [cls.__name__ for cls in reward_classes() if cls().constant_per_item]  # type: ignore[call-arg]
    assert weighing == ["Shala"]
    assert float(normalised_entropy(LABEL)[1]) == 0  # the item of LABEL that it is silent about


def test_the_total_is_weighted_as_in_equation_6() -> None:
    rewards = [Agreement(), Format(weight=0.1)]
    parts = compute_rewards(rewards, EXAMPLE, label_dist=LABEL, items=ITEMS)
    assert total_reward(rewards, parts)[0].tolist() == pytest.approx([0.1, -0.143841], abs=1e-5)
    assert upper_bound(rewards, LABEL).tolist() == pytest.approx([0.1, 0.1])


def test_a_reward_that_is_not_finite_names_its_item() -> None:
    class Broken(Reward):
        minimum = 0.0

        def __init__(self) -> None:
            super().__init__(weight=1.0)

        def score(self, groups: Groups, label_dist: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 1.0], [torch.nan, 0.0]])

        def upper_bound(self, label_dist: torch.Tensor) -> torch.Tensor:
            return torch.zeros(2)

    with pytest.raises(
        InputError, match=r"reward test_rewards is \[nan, 0.0\] for item b: it must be finite"
    ):
        compute_rewards([Broken()], EXAMPLE, label_dist=LABEL, items=ITEMS)


def test_a_distribution_that_is_not_finite_names_its_item() -> None:
    broken = scored([[[0.0, 0.0]], [[torch.nan, 0.0]]], [[True], [True]])
    with pytest.raises(InputError, match=r"the predicted distribution is \[\[nan, nan\]\] for item b"):
        compute_rewards([Shala()], broken, label_dist=LABEL, items=ITEMS)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError, match=r"weight must be at least 0, got -1\.0"):
        Format(weight=-1.0)
