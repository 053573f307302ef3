"""The objective and the method that docs/extend/objective.md shows are right: they train."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from extend_page import module_of
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.core.distributions import brier_sum
from lalm_ambig.core.types import Item


def test_the_objective_is_the_brier_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = module_of("objective.md", tmp_path, monkeypatch)
    answers, people = torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    loss = shown.BrierObjective(weight=2.0)(shown.BrierExperience(answers, people))
    assert loss.total.item() == pytest.approx(0.5) and loss.parts["brier"].item() == pytest.approx(0.25)


def test_the_method_trains(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
) -> None:
    module_of("objective.md", tmp_path, monkeypatch, name="lalm_ambig.objectives.brier")
    policy = make_policy(projector=True)
    method = module_of("objective.md", tmp_path, monkeypatch, block=1).Brier(policy)
    method.attach(make_encoder(policy, reasoning=False))
    batch = method.encoder(items)
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    steps = torch.optim.AdamW(trained, lr=1e-3)
    losses = []
    for _ in range(6):
        loss = method.reduce(method.gather(batch)).total
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
        losses.append(loss.item())
    read = method.reader.read(method.encoder, batch, share=True).predicted_dist
    assert losses[-1] < losses[0] and brier_sum(batch.label_dist, read).mean() < losses[0]
