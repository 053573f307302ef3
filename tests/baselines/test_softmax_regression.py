"""The soft-label regression: by hand, against scikit-learn, and on relations that it must recover."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from lalm_ambig.baselines.softmax_regression import L2_GRID, Examples, best_fit, fit
from lalm_ambig.core.errors import InputError


def examples(count: int, *, seed: int, noise: float = 0.0, width: int = 5) -> Examples:
    """Distributions that are a linear softmax of features on different scales, with noise on the logits."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(width, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits = features @ weight + torch.tensor([0.5, 0.0, -1.0, 0.2], dtype=torch.float64)
    logits += noise * torch.randn(logits.shape, generator=generator, dtype=torch.float64)
    scales = torch.logspace(-2, 3, width, dtype=torch.float64)
    return Examples(features * scales + 7, logits.softmax(-1))


def predicted(model_logits: torch.Tensor) -> torch.Tensor:
    return model_logits.softmax(-1)


def test_the_weight_of_two_mirrored_items_is_the_one_worked_out_by_hand() -> None:
    # By symmetry W = (a, -a) and b = 0; the derivative vanishes where 0.8 - sigmoid(2a) = l2 * a: for a = 0.5 that is
    # l2 = (0.8 - 0.7310585786) / 0.5.
    pair = Examples(
        torch.tensor([[1.0], [-1.0]], dtype=torch.float64),
        torch.tensor([[0.8, 0.2], [0.2, 0.8]], dtype=torch.float64),
    )
    model = fit(pair, l2=0.1378828428)
    assert model.weight[0].tolist() == pytest.approx([0.5, -0.5], abs=1e-6)
    assert model.bias.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert model.converged


def test_a_known_linear_softmax_relation_is_recovered_on_unseen_items() -> None:
    model = fit(examples(400, seed=1), l2=1e-8)
    assert model.converged
    unseen = examples(200, seed=2)
    assert model.kl(unseen) < 1e-8
    torch.testing.assert_close(predicted(model.logits(unseen.features)), unseen.label_dist, atol=1e-4, rtol=0)


@pytest.mark.parametrize("l2", [1.0, 0.03, 0.001])
def test_it_is_scikit_learns_solution_on_replicated_soft_labels(l2: float) -> None:
    found = examples(60, seed=3, noise=1.0)
    model = fit(found, l2=l2)
    inputs = ((found.features - found.features.mean(0)) / found.features.std(0, unbiased=False)).numpy()
    count, classes = found.label_dist.shape
    peer = LogisticRegression(C=1 / (count * l2), tol=1e-10, max_iter=10_000)
    peer.fit(
        np.repeat(inputs, classes, axis=0),
        np.tile(np.arange(classes), count),
        sample_weight=found.label_dist.numpy().ravel(),
    )
    np.testing.assert_allclose(model.weight.numpy(), peer.coef_.T, atol=1e-5)
    np.testing.assert_allclose(
        predicted(model.logits(found.features)).numpy(), peer.predict_proba(inputs), atol=1e-6
    )


def test_an_endless_penalty_gives_the_mean_distribution_because_the_bias_is_free() -> None:
    found = examples(50, seed=4)
    rows = predicted(fit(found, l2=1e8).logits(found.features))
    torch.testing.assert_close(rows, found.label_dist.mean(0).expand_as(rows), atol=1e-6, rtol=0)


def test_units_of_features_and_the_order_of_items_do_not_matter() -> None:
    found = examples(50, seed=5, noise=0.5)
    rows = predicted(fit(found, l2=0.1).logits(found.features))
    scaled = Examples(found.features * -1000 + 3, found.label_dist)
    torch.testing.assert_close(
        predicted(fit(scaled, l2=0.1).logits(scaled.features)), rows, atol=1e-6, rtol=0
    )
    turned = fit(Examples(found.features.flip(0), found.label_dist.flip(0)), l2=0.1)
    torch.testing.assert_close(predicted(turned.logits(found.features)), rows, atol=1e-6, rtol=0)


def test_a_feature_that_is_constant_in_training_is_not_listened_to_later() -> None:
    found = examples(50, seed=6)
    model = fit(
        Examples(torch.cat([found.features, torch.full((50, 1), 0.1)], dim=1), found.label_dist), l2=0.1
    )
    near, far = found.features.new_full((1, 1), 0.1), found.features.new_full((1, 1), 1e6)
    one = model.logits(torch.cat([found.features[:1], near], dim=1))
    other = model.logits(torch.cat([found.features[:1], far], dim=1))
    assert torch.equal(one, other)


def test_the_penalty_is_the_one_of_the_grid_with_the_smallest_validation_kl() -> None:
    train, validation = examples(30, seed=7, noise=2.0, width=20), examples(200, seed=8, width=20)
    alone = {l2: fit(train, l2=l2).kl(validation) for l2 in L2_GRID}
    chosen = best_fit(train, validation)
    assert chosen.l2 == min(alone, key=lambda l2: alone[l2])
    assert chosen.kl(validation) == pytest.approx(alone[chosen.l2], abs=1e-5)
    assert L2_GRID[-1] < chosen.l2 < L2_GRID[0]


def test_the_same_examples_give_the_same_weights_bit_for_bit() -> None:
    first, again = (best_fit(examples(40, seed=9), examples(40, seed=10)) for _ in range(2))
    assert torch.equal(first.weight, again.weight) and first.l2 == again.l2


def test_it_fits_where_gradients_are_off() -> None:
    found = examples(40, seed=11)
    with torch.no_grad():
        assert fit(found, l2=0.1).weight.abs().max() > 0.01


def test_what_cannot_be_fitted_is_refused() -> None:
    found = examples(5, seed=12)
    with pytest.raises(InputError, match=r"softmax regression: l2 must be above 0, got 0"):
        fit(found, l2=0.0)
    broken = found.features.clone()
    broken[3, 1] = float("nan")
    with pytest.raises(InputError, match=r"row 3 of the training features is not finite"):
        fit(Examples(broken, found.label_dist), l2=0.1)
