"""GRPO's loss: by hand, against an independent loop, and what each of its parts may not do."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lalm_ambig.core.errors import InputError
from lalm_ambig.objectives.grpo import GRPOExperience, GRPOObjective, k3


def experience(
    ratios: list[list[list[float]]],
    advantages: list[list[float]],
    *,
    mask: list[list[list[bool]]] | None = None,
    ref_ratio: float | None = None,
) -> GRPOExperience:
    """Trajectories with those ratios π/π_old; `ref_ratio` is π_ref/π of every token."""
    old = torch.full(torch.tensor(ratios).shape, -2.0)
    log_probs = (old + torch.tensor(ratios).log()).requires_grad_()
    ref = None if ref_ratio is None else log_probs.detach() + math.log(ref_ratio)
    counted = torch.ones_like(old, dtype=torch.bool) if mask is None else torch.tensor(mask)
    return GRPOExperience(log_probs, old, ref, counted, torch.tensor(advantages))


def test_by_hand_with_both_clips() -> None:
    """Advantage 2: ratio 1.5 is clipped to 1.2, 0.5 is not; advantage −1: ratio 0.5 is clipped to 0.8, 1.5 is not.

    −[ (1.2·2 + 0.5·2)/2 + (−0.8 − 1.5)/2 ] / 2 = −[1.7 − 1.15]/2 = −0.275
    """
    loss = GRPOObjective(kl_weight=0.0)(experience([[[1.5, 0.5], [0.5, 1.5]]], [[2.0, -1.0]]))
    assert float(loss.total.detach()) == pytest.approx(-0.275, abs=1e-6)
    assert float(loss.parts["clipped_share"]) == pytest.approx(0.5)


def test_asymmetric_clip() -> None:
    """ε_high 0.28: −(1.28·1 + 1.28·1)/2; ε_low 0.1: (0.9)."""
    up = GRPOObjective(clip_high=0.28, kl_weight=0.0)(experience([[[2.0]]], [[1.0]]))
    assert float(up.total.detach()) == pytest.approx(-1.28, abs=1e-6)
    down = GRPOObjective(clip_low=0.1, kl_weight=0.0)(experience([[[0.2]]], [[-1.0]]))
    assert float(down.total.detach()) == pytest.approx(0.9, abs=1e-6)


def test_a_clipped_token_has_no_gradient_and_others_have() -> None:
    gathered = experience([[[1.5, 0.5]]], [[2.0]])
    GRPOObjective(kl_weight=0.0)(gathered).total.backward()
    gradient = gathered.log_probs.grad
    assert gradient is not None
    assert gradient[0, 0, 0] == 0
    assert gradient[0, 0, 1] == pytest.approx(-2.0 * 0.5 / 2)


def test_at_the_sampling_policy_the_gradient_is_the_policy_gradient() -> None:
    """Ratio 1: the gradient of −Â·log π, averaged: −Â/(tokens · responses)."""
    gathered = experience([[[1.0, 1.0], [1.0, 1.0]]], [[1.0, -3.0]])
    GRPOObjective(kl_weight=0.0)(gathered).total.backward()
    assert gathered.log_probs.grad is not None
    assert gathered.log_probs.grad[0].tolist() == [[-0.25, -0.25], [0.75, 0.75]]


def test_averages_by_sequence_by_token_and_by_a_constant() -> None:
    """Advantages 1 and −2, ratios 1, lengths 3 and 1: −[1 − 2]/2; −(3·1 − 2)/4; −(3/10 − 2/10)/2."""
    mask = [[[True, True, True], [True, False, False]]]
    gathered = experience([[[1.0] * 3, [1.0] * 3]], [[1.0, -2.0]], mask=mask)
    expected = {"sequence": 0.5, "token": -0.25, "constant": -0.05}
    for average, value in expected.items():
        loss = GRPOObjective(kl_weight=0.0, average=average, constant_tokens=10)(gathered)  # type: ignore[arg-type]
        assert float(loss.total.detach()) == pytest.approx(value, abs=1e-6), average


def test_the_penalty_is_k3_and_grows_with_its_weight() -> None:
    """π_ref/π = 2: 2 − log 2 − 1 = 0.30685 nats a token."""
    gathered = experience([[[1.0, 1.0]]], [[0.0]], ref_ratio=2.0)
    loss = GRPOObjective(kl_weight=0.5)(gathered)
    assert float(loss.parts["kl_to_reference"]) == pytest.approx(1 - math.log(2), abs=1e-6)
    assert float(loss.total.detach()) == pytest.approx(0.5 * (1 - math.log(2)), abs=1e-6)


def test_k3_is_unbiased_for_the_divergence_to_the_reference() -> None:
    policy, reference = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.5, 0.3])
    values = k3(policy.log(), reference.log(), torch.ones(3, dtype=torch.bool))
    assert (values >= 0).all()
    exact = (policy * (policy / reference).log()).sum()
    torch.testing.assert_close((policy * values).sum(), exact)


def test_masked_tokens_change_nothing_whatever_stands_there() -> None:
    mask = [[[True, False], [True, True]]]
    plain = experience([[[1.1, 1.0], [0.9, 1.3]]], [[1.0, -1.0]], mask=mask, ref_ratio=1.5)
    poisoned = plain.log_probs.detach().clone()
    poisoned[0, 0, 1] = 50.0
    other = GRPOExperience(
        poisoned.requires_grad_(), plain.old_log_probs, plain.ref_log_probs, plain.mask, plain.advantages
    )
    one, two = GRPOObjective()(plain), GRPOObjective()(other)
    torch.testing.assert_close(one.total, two.total)
    two.total.backward()
    assert other.log_probs.grad is not None
    assert other.log_probs.grad[0, 0, 1] == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.4), st.floats(0.05, 0.6), st.floats(0, 0.2))
def test_an_independent_loop_agrees(seed: int, low: float, high: float, beta: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 3, 4)
    log_probs, old, ref = (-torch.rand(shape, generator=generator) * 3 for _ in range(3))
    mask = torch.rand(shape, generator=generator) > 0.3
    advantage = torch.randn(shape[:2], generator=generator)
    total = 0.0
    for g in range(2):
        for k in range(3):
            terms = []
            for t in range(4):
                if not mask[g, k, t]:
                    continue
                ratio = math.exp(float(log_probs[g, k, t] - old[g, k, t]))
                a = float(advantage[g, k])
                clipped = min(max(ratio, 1 - low), 1 + high)
                r = math.exp(float(ref[g, k, t] - log_probs[g, k, t]))
                terms.append(-min(ratio * a, clipped * a) + beta * (r - math.log(r) - 1))
            total += sum(terms) / max(1, len(terms))
    loss = GRPOObjective(clip_low=low, clip_high=high, kl_weight=beta)(
        GRPOExperience(log_probs, old, ref, mask, advantage)
    )
    assert float(loss.total.detach()) == pytest.approx(total / 6, abs=1e-4)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("clip_low", 1.5, r"GRPO: clip_low must be in \(0, 1\), got 1.5"),
        ("clip_high", 0.0, "GRPO: clip_high must be positive, got 0.0"),
        ("kl_weight", -0.1, "GRPO: kl_weight must be at least 0, got -0.1"),
        ("constant_tokens", 0, "GRPO: constant_tokens must be at least 1, got 0"),
    ],
)
def test_impossible_settings_are_refused(field: str, value: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        GRPOObjective(**{field: value})  # type: ignore[arg-type]
