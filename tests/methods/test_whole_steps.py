"""An optimiser step in several passes learns what it learns in one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripted import MakeMethod, gradients

from lalm_ambig.core.types import Batch, Item, StepPlace
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective

SETTINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "grpo-batch": (GRPO, {"grouping": Grouping(group_size=3, advantage_scale="batch")}),
    "grpo-token": (
        GRPO,
        {
            "grouping": Grouping(group_size=3),
            "objective": GRPOObjective(average="token", on_policy_kl_weight=1.0),
        },
    ),
    "grpo-twice": (GRPO, {"grouping": Grouping(group_size=3, advantage_scale="batch", updates=2)}),
    "dpo": (DPO, {"negatives": Negatives(js_threshold=0.05)}),
    "sft": (
        SFT,
        {"objective": SFTObjective(on_policy_kl_weight=1.0, class_mass_weight=0.5), "group_size": 2},
    ),
}


def passes_over(method: Method, items: Sequence[Item], shares: Sequence[Sequence[int]]) -> list[Batch]:
    """The batches of a step whose items are divided like this."""
    batches = [method.encoder([items[n] for n in share]) for share in shares]
    total = sum(map(len, shares))
    return [
        replace(
            batch,
            step=StepPlace(number, len(shares), total, tuple(batches[1:]) if number == 0 else ()),
        )
        for number, batch in enumerate(batches)
    ]


def step(method: Method, batches: Sequence[Batch]) -> dict[str, torch.Tensor]:
    """Gradients of a step as the trainer accumulates them."""
    method.policy.zero_grad()
    method.log_dict = lambda *_, **__: None  # type: ignore[assignment]
    for number, batch in enumerate(batches):
        (method.training_step(batch, number) / len(batches)).backward()
    return gradients(method)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(
    "shares",
    [[[0, 1], [2]], pytest.param([[2], [0], [1]], marks=pytest.mark.slow)],
    ids=["two", "three"],
)
def test_passes_of_any_size_add_up_to_the_step(
    on_policy: MakeMethod, items: Sequence[Item], name: str, shares: list[list[int]]
) -> None:
    cls, settings = SETTINGS[name]
    three = [
        items[0],
        items[1],
        replace(items[0], id="third", votes=(0.0, 1.0, 8.0, 0.0, 0.0, 0.0), text="No"),
    ]
    one, several = (on_policy(cls, **settings) for _ in range(2))
    whole = step(one, passes_over(one, three, [[0, 1, 2]]))
    divided = passes_over(several, three, shares)
    parts = step(several, divided)
    assert any(float(value.abs().max()) > 1e-5 for value in whole.values())
    for parameter, value in whole.items():
        torch.testing.assert_close(
            parts[parameter], value, atol=1e-3 * float(value.abs().max().clamp(min=1e-6)), rtol=1e-2
        )
    assert sorted(row["response"] for row in one.rollout_rows) == sorted(
        row["response"] for row in several.rollout_rows
    )
    assert len(several.step_metrics.values) == len(one.step_metrics.values)
    if one.updates == 2:
        assert len(several.rollout_buffer.held) == len(shares)
        again = step(several, divided)
        second = step(one, passes_over(one, three, [[0, 1, 2]]))
        for parameter, value in second.items():
            scale = float(value.abs().max().clamp(min=1e-6))
            torch.testing.assert_close(again[parameter], value, atol=1e-3 * scale, rtol=1e-2)
    assert not several.rollout_buffer.held


def test_two_passes_over_the_same_items_are_kept_apart(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    """One item that fills two passes: the deviation is over both, and sampling happens once."""
    method = on_policy(GRPO, grouping=Grouping(group_size=3, advantage_scale="batch"))
    step(method, passes_over(method, items, [[0], [0]]))
    assert not method.rollout_buffer.held
    assert len(method.rollout_rows) == 6


def test_what_was_sampled_stays_in_the_log_until_the_steps_end(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=3))
    first, second = passes_over(method, items, [[0], [1]])
    method.log_dict = lambda *_, **__: None
    method.training_step(first, 0)
    logged = dict(method.step_metrics.values)
    method.training_step(second, 1)
    assert method.step_metrics.values["train/reward"] == logged["train/reward"]
    assert method.step_metrics.values.keys() == logged.keys()
