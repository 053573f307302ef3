"""CE and KL of the curated response: numbers by hand, and what must not change them."""

import math
from dataclasses import replace

import pytest
import torch
from scipy.stats import entropy

from lalm_ambig.core.errors import InputError
from lalm_ambig.objectives.sft import SFTExperience, SFTObjective, mean_per_item

NAN = float("nan")


def experience() -> SFTExperience:
    """Two items of three and two tokens, of which the first counts two and the second one."""
    return SFTExperience(
        token_log_probs=torch.log(torch.tensor([[0.5, 0.25, 0.1], [0.2, 0.9, 0.3]])),
        mask=torch.tensor([[True, True, False], [True, False, False]]),
        category_logits=torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])) + 3.0,
        label_dist=torch.tensor([[1.0, 0.0, 0.0], [0.25, 0.25, 0.5]]),
    )


CE = ((math.log(2) + math.log(4)) / 2 + math.log(5)) / 2
KL = (math.log(2) + 0.25 * math.log(2.5) * 2 + 0.5 * math.log(0.625)) / 2


def test_the_loss_by_hand() -> None:
    loss = SFTObjective(ce_weight=1.0, kl_weight=1.0)(experience())
    assert loss.total.item() == pytest.approx(CE + KL)
    assert loss.parts["ce"].item() == pytest.approx(CE)
    assert loss.parts["kl"].item() == pytest.approx(KL)
    assert pytest.approx(1.3245793, abs=1e-6) == CE
    assert pytest.approx(0.4581454, abs=1e-6) == KL


def test_each_weight_multiplies_its_own_term() -> None:
    assert SFTObjective(ce_weight=2.0, kl_weight=0.5)(experience()).total.item() == pytest.approx(
        2 * CE + KL / 2
    )
    assert SFTObjective(ce_weight=0.0, kl_weight=3.0)(experience()).total.item() == pytest.approx(3 * KL)
    assert SFTObjective(ce_weight=3.0, kl_weight=0.0)(experience()).total.item() == pytest.approx(3 * CE)


def test_the_divergence_is_from_people_to_the_model() -> None:
    soft = replace(experience(), label_dist=torch.tensor([[0.9, 0.05, 0.05], [0.25, 0.25, 0.5]]))
    predicted = torch.softmax(soft.category_logits, -1).numpy()
    forward = entropy(soft.label_dist.numpy().T, predicted.T).mean()
    backward = entropy(predicted.T, soft.label_dist.numpy().T).mean()
    assert SFTObjective(0.0, 1.0)(soft).total.item() == pytest.approx(forward, rel=1e-5)
    assert abs(forward - backward) > 0.01


def test_what_the_mask_leaves_out_changes_nothing() -> None:
    plain = SFTObjective()(experience()).total
    masked = experience().token_log_probs.masked_fill(~experience().mask, NAN)
    assert torch.equal(SFTObjective()(replace(experience(), token_log_probs=masked)).total, plain)


def test_padding_changes_nothing() -> None:
    seen = experience()
    wider = replace(
        seen,
        token_log_probs=torch.nn.functional.pad(seen.token_log_probs, (0, 3), value=-50.0),
        mask=torch.nn.functional.pad(seen.mask, (0, 3)),
    )
    torch.testing.assert_close(SFTObjective()(wider).total, SFTObjective()(seen).total)


def test_the_order_of_items_changes_nothing() -> None:
    seen = experience()
    turned = SFTExperience(
        seen.token_log_probs.flip(0), seen.mask.flip(0), seen.category_logits.flip(0), seen.label_dist.flip(0)
    )
    torch.testing.assert_close(SFTObjective()(turned).total, SFTObjective()(seen).total)


def test_the_mean_of_two_batches_is_the_loss_of_both() -> None:
    def part(row: slice) -> SFTExperience:
        seen = experience()
        return SFTExperience(
            seen.token_log_probs[row], seen.mask[row], seen.category_logits[row], seen.label_dist[row]
        )

    halves = [SFTObjective()(part(slice(n, n + 1))).total for n in (0, 1)]
    torch.testing.assert_close(torch.stack(halves).mean(), SFTObjective()(experience()).total)


def test_an_item_without_a_counted_token_adds_nothing() -> None:
    values, mask = torch.tensor([[2.0, 4.0], [8.0, NAN]]), torch.tensor([[True, True], [False, False]])
    assert mean_per_item(values, mask).item() == pytest.approx(1.5)


def test_gradients_reach_counted_tokens_and_logits_and_nothing_else() -> None:
    seen = experience()
    log_probs, logits = seen.token_log_probs.requires_grad_(), seen.category_logits.requires_grad_()
    label_dist = seen.label_dist.requires_grad_()
    SFTObjective(1.0, 2.0)(SFTExperience(log_probs, seen.mask, logits, label_dist.detach())).total.backward()
    assert log_probs.grad is not None and logits.grad is not None
    assert torch.equal(log_probs.grad != 0, seen.mask)
    assert bool((log_probs.grad[seen.mask] < 0).all())  # likelier tokens, lower loss
    predicted = torch.softmax(logits.detach(), -1)
    torch.testing.assert_close(logits.grad, 2.0 * (predicted - seen.label_dist.detach()) / 2)
    assert label_dist.grad is None


def test_logged_parts_carry_no_graph() -> None:
    seen = experience()
    loss = SFTObjective()(replace(seen, category_logits=seen.category_logits.requires_grad_()))
    assert loss.total.requires_grad
    assert not any(part.requires_grad for part in loss.parts.values())


@pytest.mark.parametrize("weights", [(-1.0, 1.0), (1.0, -0.1), (NAN, 1.0), (1.0, NAN)])
def test_a_weight_below_zero_or_nan_is_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"model.objective: (ce|kl)_weight must be at least 0, got"):
        SFTObjective(*weights)


def test_training_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="all weights are 0, so nothing is trained"):
        SFTObjective(0.0, 0.0)


def vocabulary() -> tuple[torch.Tensor, list[int], torch.Tensor]:
    """Logits of nine tokens for two items, the tokens of three classes, and people's distributions."""
    logits = torch.randn(2, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return logits.requires_grad_(), [4, 0, 7], experience().label_dist.double()


def with_mass(logits: torch.Tensor, classes: list[int], label_dist: torch.Tensor) -> SFTExperience:
    mass = logits.log_softmax(-1)[:, classes].logsumexp(-1)
    return replace(
        experience(), category_logits=logits[:, classes], label_dist=label_dist, log_class_mass=mass
    )


def test_divergence_and_class_mass_are_the_soft_cross_entropy_over_the_vocabulary() -> None:
    logits, classes, p = vocabulary()
    loss = SFTObjective(0.0, 1.0, class_mass_weight=1.0)(with_mass(logits, classes, p))
    whole = torch.zeros(2, 9, dtype=torch.float64)
    whole[:, classes] = p
    cross = torch.nn.functional.cross_entropy(logits, whole)
    people = torch.tensor([entropy(row) for row in p.detach()]).mean()
    assert loss.total.item() == pytest.approx((cross - people).item(), abs=1e-6)
    (ours,) = torch.autograd.grad(loss.total, logits)
    (theirs,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, whole), logits)
    torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=1e-6)


def test_the_class_mass_is_weighted_pushed_up_and_shown_as_a_share() -> None:
    logits, classes, p = vocabulary()
    seen = with_mass(logits, classes, p)
    share = logits.softmax(-1)[:, classes].sum(-1)
    plain, loss = SFTObjective(0.0, 1.0)(seen), SFTObjective(0.0, 1.0, class_mass_weight=0.5)(seen)
    assert loss.total.item() == pytest.approx((plain.total - 0.5 * share.log().mean()).item(), abs=1e-6)
    assert loss.parts["class_mass"].item() == pytest.approx(share.mean().item(), abs=1e-6)
    (slope,) = torch.autograd.grad(loss.total - plain.total, logits)
    outside = [token for token in range(9) if token not in classes]
    assert bool((slope[:, outside] > 0).all()) and bool((slope[:, classes] < 0).all())


def test_without_its_weight_there_is_no_class_mass_among_the_parts() -> None:
    assert set(SFTObjective()(experience()).parts) == {"ce", "kl"}


@pytest.mark.parametrize("weight", [-0.5, NAN])
def test_a_weight_of_the_class_mass_below_zero_or_nan_is_refused(weight: float) -> None:
    with pytest.raises(InputError, match="class_mass_weight must be at least 0, got"):
        SFTObjective(class_mass_weight=weight)
