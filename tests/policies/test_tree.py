"""A tree of segments computed once equals every path computed by itself, values and gradients."""

import pytest
import torch
from small_model import MakePolicy, nudge

from lalm_ambig.policies.attention.tree import Segment, TreeLayout
from lalm_ambig.policies.attention.tree_pass import tree_states
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.log_probs import token_log_probs
from lalm_ambig.policies.tiny import Tiny

LENGTHS = (7, 3, 5, 2, 4, 6, 1)
PARENTS = (None, 0, 0, 2, 2, None, 5)


def segments(policy: Policy, *, seed: int = 0) -> tuple[list[Segment], list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    ids = [torch.randint(20, 200, (n,), generator=generator) for n in LENGTHS]
    return [Segment(policy.embed_ids(i), p) for i, p in zip(ids, PARENTS, strict=True)], ids


@pytest.fixture
def policy(make_policy: MakePolicy) -> Tiny:
    made = make_policy()
    nudge(made)
    return made


def test_positions_go_on_from_the_parent() -> None:
    layout = TreeLayout([3, 2, 1, 2], [None, 0, 1, 0])
    assert layout.positions.tolist() == [0, 1, 2, 3, 4, 5, 3, 4]
    assert layout.longest == 6


@torch.no_grad()
def test_shared_states_equal_each_path_alone(policy: Tiny) -> None:
    tree, ids = segments(policy)
    shared = tree_states(policy, tree)
    plain = tree_states(policy, tree, share=False)
    for ours, theirs in zip(shared, plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-5)
    path = torch.cat([ids[0], ids[2], ids[3]])[None]
    alone = policy.hidden(policy.embed_ids(path), torch.ones_like(path, dtype=torch.bool))[0]
    torch.testing.assert_close(shared[3], alone[-LENGTHS[3] :], atol=2e-5, rtol=2e-5)


def test_gradients_through_a_shared_beginning_equal_the_plain_ones(policy: Tiny) -> None:
    found = []
    for share in (True, False):
        policy.zero_grad()
        tree, ids = segments(policy)
        states = tree_states(policy, tree, share=share)
        log_probs = [policy.token_log_probs(states[n][:-1], ids[n][1:]) for n in (1, 3, 4, 5)]
        torch.cat(log_probs).square().sum().backward()
        found.append({n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        scale = found[1][name].abs().max()
        assert scale > 0
        assert (gradient - found[1][name]).abs().max() <= 1e-3 * scale, name


@torch.no_grad()
def test_float32_weights_can_run_under_bfloat16_autocast(policy: Tiny) -> None:
    tree, _ = segments(policy)
    exact = tree_states(policy, tree)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = tree_states(policy, tree)
    for ours, theirs in zip(rounded, exact, strict=True):
        assert (ours.float() - theirs).abs().max() < 0.1 * theirs.abs().max()


@torch.no_grad()
def test_a_sibling_is_not_seen(policy: Tiny) -> None:
    tree, _ = segments(policy)
    changed = list(tree)
    changed[1] = Segment(tree[1].embeddings.flip(0) * 3, 0)
    before, after = tree_states(policy, tree), tree_states(policy, changed)
    torch.testing.assert_close(after[2], before[2], atol=1e-6, rtol=1e-6)
    assert not torch.allclose(after[1], before[1], atol=1e-2)


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_one_pass_log_probs_have_autograds_value_and_gradient(
    temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lalm_ambig.policies.log_probs.LOGITS_AT_ONCE", 120)  # chunks of three rows
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 40, bias=False).requires_grad_(False)
    hidden = torch.randn(7, 8, requires_grad=True)
    ids, weights = torch.randint(0, 40, (7,)), torch.randn(7)
    ours = token_log_probs(head, hidden, ids, temperature=temperature)
    (own,) = torch.autograd.grad((ours * weights).sum(), hidden)
    plain = torch.log_softmax(head(hidden) / temperature, -1)[torch.arange(7), ids]
    (expected,) = torch.autograd.grad((plain * weights).sum(), hidden)
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(own, expected)


def test_a_trained_head_gets_its_gradient() -> None:
    torch.manual_seed(0)
    head = torch.nn.Linear(8, 40, bias=False)
    hidden = torch.randn(5, 8, requires_grad=True)
    token_log_probs(head, hidden, torch.randint(0, 40, (5,))).sum().backward()
    assert head.weight.grad is not None
    assert head.weight.grad.abs().max() > 0
