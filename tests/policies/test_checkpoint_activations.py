"""Layers computed again in the backward pass give the same loss and gradients, with less kept in between."""

import pytest
import torch
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.core.types import Item
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.passages import PassSettings, curated_spans, score_spans


@pytest.mark.parametrize("share_prompt", [True, False], ids=["tree", "plain"])
@pytest.mark.parametrize("settings", [{}, {"checkpoint_every": 2}], ids=["all", "every second"])
def test_loss_and_gradients_are_the_same_and_less_is_kept(
    share_prompt: bool,
    settings: dict[str, int],
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    items: tuple[Item, ...],
) -> None:
    found = []
    for again in (False, True):
        policy = make_policy(checkpoint_activations=again, **settings)
        policy.train()
        kept = 0

        def keep(value: torch.Tensor) -> torch.Tensor:
            nonlocal kept
            kept += value.numel()
            return value

        encoder = make_encoder(policy)
        batch = encoder(items)
        assert batch.curated is not None
        passages = curated_spans(batch.curated, ce=True, name=True, scores=True)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            passed = score_spans(
                policy, batch, passages, PassSettings(encoder.answer, share_prompt=share_prompt)
            )
            loss = passed.log_probs.sum() + passed.scores.logsumexp(-1).sum()
        loss.backward()
        found.append((float(loss.detach()), gradients(policy), kept))
    (loss, plain, kept), (same_loss, recomputed, less) = found
    assert same_loss == pytest.approx(loss, rel=1e-6)
    assert plain.keys() == recomputed.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(recomputed[name], gradient, rtol=1e-4, atol=1e-5)
    assert any(float(gradient.abs().max()) > 1e-3 for gradient in plain.values())
    assert less < (0.8 if settings else 0.5) * kept
    if settings:
        assert less > 0.5 * kept


def gradients(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in policy.named_parameters() if p.grad is not None}
