"""SHALA-LLM's rewards: SHALA, its ablation, and majority-label supervision."""

import pytest
import torch
from response_groups import LABEL, scored, stated
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from lalm_ambig.rewards.majority import MajorityLabel
from lalm_ambig.rewards.shala import Shala


def test_shala_by_hand() -> None:
    """p=(½,½), p̂=(1,0): JS = H(¾,¼) − ½ bit = 0.311278, its root 0.557923; p=(1,0) weighs nothing."""
    example = stated([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]]])
    assert Shala()(example, LABEL)[0].tolist() == pytest.approx([0.442077, 1.0], abs=1e-5)
    assert str(Shala()(example, LABEL)[1].tolist()) == "[0.0, 0.0]"  # and not −0.0, which people would read
    assert Shala(ambiguity=False)(example, LABEL)[1].tolist() == pytest.approx([0.442077, 1.0], abs=1e-5)


def test_shala_weighs_by_entropy_over_all_classes() -> None:
    """Two of three classes at ½: H̃ = log 2 / log 3; a p̂ elsewhere is at distance 1."""
    label = torch.tensor([[0.5, 0.5, 0.0]])
    example = stated([[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]])
    assert Shala()(example, label)[0].tolist() == pytest.approx([0.630930, 0.0], abs=1e-5)
    assert Shala().upper_bound(label).tolist() == pytest.approx([0.630930], abs=1e-5)
    assert Shala(ambiguity=False).upper_bound(label).tolist() == [1.0]


@pytest.mark.parametrize("ambiguity", [True, False])
def test_shala_against_scipy(ambiguity: bool) -> None:
    torch.manual_seed(2)
    drawn = torch.distributions.Dirichlet(torch.full((5,), 0.4)).sample((3, 7))
    drawn[:, :, 0] *= torch.rand(3, 7) > 0.5  # with zeros
    drawn /= drawn.sum(-1, keepdim=True)
    label, dist = drawn[:, 0], drawn[:, 1:]
    values_per_item = Shala(ambiguity=ambiguity)(stated(dist.tolist()), label)
    for p, rows, values in zip(label.double().numpy(), dist.double().numpy(), values_per_item, strict=True):
        weight = entropy(p, base=5) if ambiguity else 1.0
        expected = [weight * (1 - jensenshannon(p, row, base=2)) for row in rows]
        assert values.tolist() == pytest.approx(expected, abs=1e-5)


def test_shala_reads_logits_as_well() -> None:
    dist = torch.tensor([[[0.7, 0.3]], [[0.2, 0.8]]])
    from_logits = Shala(ambiguity=False)(scored(dist.log().tolist(), [[True], [True]]), LABEL)
    torch.testing.assert_close(from_logits, Shala(ambiguity=False)(stated(dist.tolist()), LABEL))


def test_shala_is_always_zero_where_annotators_agree_unless_it_does_not_weigh() -> None:
    assert Shala().always_zero(LABEL).tolist() == [False, True]
    assert Shala(ambiguity=False).always_zero(LABEL).tolist() == [False, False]
    assert (Shala().constant_per_item, Shala(ambiguity=False).constant_per_item) == (True, False)


def test_mls_is_the_share_of_the_majority_label() -> None:
    label = torch.tensor([[0.2, 0.7, 0.1], [0.4, 0.2, 0.4]])  # a tie: the first class
    example = stated([[[0.1, 0.6, 0.3], [1.0, 0.0, 0.0]], [[0.3, 0.3, 0.4], [0.9, 0.1, 0.0]]])
    torch.testing.assert_close(MajorityLabel()(example, label), torch.tensor([[0.6, 0.0], [0.3, 0.9]]))


def test_mls_prefers_everything_on_the_majority_to_what_people_say() -> None:
    label = torch.tensor([[0.6, 0.4]])
    values = MajorityLabel()(stated([[[0.6, 0.4], [1.0, 0.0]]]), label)
    assert values[0].tolist() == pytest.approx([0.6, 1.0])
    assert MajorityLabel().upper_bound(label).tolist() == [1.0]
