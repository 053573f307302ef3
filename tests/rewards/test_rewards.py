"""Rewards by hand, and what holds for every one of them."""

import importlib
import inspect
import math
import pkgutil

import pytest
import torch

import lalm_ambig.rewards
from lalm_ambig.errors import InputError
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.total import earned, perfect, weighted
from lalm_ambig.types import Groups, Item

LABEL = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
ITEMS = (Item("a", (1.0, 1.0)), Item("b", (2.0, 0.0)))


def groups(logits: list[list[list[float]]], formed: list[list[bool]]) -> Groups:
    scores = torch.tensor(logits)
    shape = (*scores.shape[:2], 1)
    yes = torch.ones(shape, dtype=torch.bool)
    flags = torch.tensor(formed)
    return Groups(
        torch.zeros(shape, dtype=torch.long), yes, ~yes, torch.zeros(shape), scores.softmax(-1), scores, flags,
        ~flags, ~flags, (("x",) * shape[1],) * shape[0],
    )  # fmt: skip


def reward_classes() -> list[type[Reward]]:
    found = []
    for module in pkgutil.iter_modules(lalm_ambig.rewards.__path__):
        loaded = importlib.import_module(f"lalm_ambig.rewards.{module.name}")
        classes = [
            c for _, c in inspect.getmembers(loaded, inspect.isclass) if c.__module__ == loaded.__name__
        ]
        found += [c for c in classes if issubclass(c, Reward) and not inspect.isabstract(c)]
    return found


EXAMPLE = groups(
    [[[0.0, 0.0], [math.log(3), 0.0]], [[math.log(3), 0.0], [0.0, 5.0]]], [[True, False], [False, True]]
)


def test_agreement_is_minus_the_forward_divergence() -> None:
    """p=(½,½): p̂=(½,½) earns 0, p̂=(¾,¼) −0.14384; p=(1,0): p̂=(¾,¼) −log(4/3)."""
    found = Agreement()(EXAMPLE, LABEL)
    assert found[0].tolist() == pytest.approx([0.0, -0.143841], abs=1e-5)
    assert float(found[1, 0]) == pytest.approx(-math.log(4 / 3), abs=1e-5)
    assert float(found[1, 1]) == pytest.approx(-math.log(1 + math.exp(5)), abs=1e-4)


def test_format_is_one_or_nothing() -> None:
    assert Format()(EXAMPLE, LABEL).tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("cls", reward_classes(), ids=lambda cls: cls.__name__)
def test_no_response_earns_more_than_a_perfect_one(cls: type[Reward]) -> None:
    reward = cls()  # type: ignore[call-arg]
    torch.manual_seed(0)
    logits = torch.randn(2, 6, 2) * 3
    logits[:, 0] = LABEL.clamp(min=1e-9).log()  # p̂ = p
    example = groups(logits.tolist(), [[True] * 6] * 2)
    values = reward(example, LABEL)
    best = reward.perfect(LABEL)
    assert (values <= best[:, None] + 1e-5).all()
    torch.testing.assert_close(values[:, 0], best, atol=1e-5, rtol=1e-5)
    assert reward.name == cls.__module__.rpartition(".")[2]


def test_the_total_is_weighted_as_in_a6() -> None:
    rewards = [Agreement(), Format(weight=0.1)]
    parts = earned(rewards, EXAMPLE, label_dist=LABEL, items=ITEMS)
    assert weighted(rewards, parts)[0].tolist() == pytest.approx([0.1, -0.143841], abs=1e-5)
    assert perfect(rewards, LABEL).tolist() == pytest.approx([0.1, 0.1])


def test_a_reward_that_is_not_finite_names_its_item() -> None:
    class Broken(Reward):
        def __init__(self) -> None:
            super().__init__(weight=1.0)

        def __call__(self, groups: Groups, label_dist: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[0.0, 1.0], [torch.nan, 0.0]])

        def perfect(self, label_dist: torch.Tensor) -> torch.Tensor:
            return torch.zeros(2)

    with pytest.raises(
        InputError, match=r"reward test_rewards is \[nan, 0.0\] for item b: it must be finite"
    ):
        earned([Broken()], EXAMPLE, label_dist=LABEL, items=ITEMS)


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError, match=r"weight must be at least 0, got -1\.0"):
        Format(weight=-1.0)
