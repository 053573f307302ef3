"""The reference is the base or the start, never a second model, and it is checked before the first step."""

import pytest
import torch
from small_model import MakePolicy, nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.methods.reference import Reference, _probe_states
from lalm_ambig.policies.tiny import Tiny


@pytest.fixture
def policy(make_policy: MakePolicy) -> Tiny:
    return make_policy(projector=True)


def test_the_base_is_the_policy_without_its_adapter(policy: Tiny) -> None:
    with torch.no_grad():
        base = _probe_states(policy)
        nudge(policy)
        with Reference("base").active(policy):
            assert torch.equal(_probe_states(policy), base)
        assert not torch.equal(_probe_states(policy), base)


def test_the_start_is_the_policy_as_it_was_and_the_policy_is_itself_again(policy: Tiny) -> None:
    with torch.no_grad():
        nudge(policy)
        reference = Reference("start")
        reference.snapshot(policy)
        start = _probe_states(policy)
        nudge(policy, seed=1)
        now = _probe_states(policy)
        with reference.active(policy):
            assert torch.equal(_probe_states(policy), start)
            assert not torch.is_grad_enabled()
        assert torch.equal(_probe_states(policy), now)
        with reference.active(policy):
            assert torch.equal(_probe_states(policy), start)


def test_a_pass_before_the_reference_still_has_its_gradient(policy: Tiny) -> None:
    """The weights are exchanged between a forward pass and its backward one."""
    nudge(policy)
    reference = Reference("start")
    reference.snapshot(policy)
    nudge(policy, seed=1)
    gradients = []
    for between in (False, True):
        policy.zero_grad()
        loss = _probe_states(policy).square().mean()
        if between:
            with reference.active(policy):
                _probe_states(policy)
        loss.backward()
        gradients.append({n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None})
    assert gradients[0]
    assert all(torch.equal(gradient, gradients[1][name]) for name, gradient in gradients[0].items())


def test_a_start_without_effect_is_refused(policy: Tiny) -> None:
    reference = Reference("base")
    reference.snapshot(policy)
    with pytest.raises(InputError, match="answers exactly as the base model: its adapter has no effect"):
        reference.verify(policy, started=True)
    reference.verify(policy, started=False)


def test_a_reference_that_differs_before_training_is_refused(policy: Tiny) -> None:
    nudge(policy)
    reference = Reference("base")
    reference.snapshot(policy)
    with pytest.raises(
        InputError, match=r"the reference differs from the policy by .* nothing was trained yet"
    ):
        reference.verify(policy, started=False)
    reference.verify(policy, started=True)
    start = Reference("start")
    start.snapshot(policy)
    start.verify(policy, started=True)
    with torch.no_grad():
        for weight in start.start_weights.values():
            weight.add_(0.1)
    with pytest.raises(InputError, match="differs from the policy"):
        start.verify(policy, started=True)


def test_full_fine_tuning_has_no_base_to_go_back_to(make_policy: MakePolicy) -> None:
    policy = make_policy(method="full")
    with pytest.raises(InputError, match="full fine-tuning changes the base model itself"):
        Reference("base").snapshot(policy)
    Reference("start").snapshot(policy)
