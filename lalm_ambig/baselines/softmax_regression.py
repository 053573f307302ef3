r"""Multinomial regression on soft labels: a linear softmax model that is fitted to distributions.

$$\min_{W, b} \; \frac1N \sum_n \mathrm{KL}\big(p_n \,\|\, \operatorname{softmax}(x_n W + b)\big)
+ \frac{\ell}{2} \lVert W \rVert^2$$

The features $x$ are standardised. The bias is not penalised, so that the strongest penalty gives the prior. The problem
is convex: full-batch L-BFGS in float64 from zero weights finds its one solution, the same every time. The divergence
differs from the cross-entropy by the entropy of $p$ alone; scikit-learn's C is $1 / (N \ell)$.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import kl_from_logits
from lalm_ambig.core.errors import InputError

L2_GRID = tuple(10 ** (half / 2) for half in range(4, -9, -1))
"""Penalties that are tried, 100 to 0.0001, the strongest first. Each fit begins where the one before ended."""
PATIENCE = 3
"""Penalties in a row that may be worse than the best one before the search ends."""
GRADIENT_BELOW = 1e-7
"""A fit has converged where no derivative is larger."""
MOST_STEPS = 1000


@dataclass(frozen=True)
class Examples:
    """Features of items, and their targets."""

    features: Float[Tensor, "item feature"]
    label_dist: Float[Tensor, "item category"]


@dataclass(frozen=True)
class SoftmaxRegression:
    """A fitted model."""

    weight: Float[Tensor, "feature category"]
    bias: Float[Tensor, " category"]
    mean: Float[Tensor, " feature"]
    scale: Float[Tensor, " feature"]
    """One over the standard deviation in training; 0 for a feature that does not vary there."""
    l2: float
    converged: bool

    def logits(self, features: Float[Tensor, "item feature"]) -> Float[Tensor, "item category"]:
        """The logits of the predicted distributions."""
        return (features.double() - self.mean) * self.scale @ self.weight + self.bias

    def kl(self, examples: Examples) -> float:
        """Mean KL(p ‖ p̂) over items, in nats."""
        return float(kl_from_logits(examples.label_dist.double(), self.logits(examples.features)).mean())


def fit(examples: Examples, *, l2: float, start: SoftmaxRegression | None = None) -> SoftmaxRegression:
    """Fit the regression with one penalty.

    Args:
        examples: Training items.
        l2: The penalty ℓ.
        start: A fit on the same examples to go on from; None starts from zeros.

    Raises:
        InputError: `l2` is not positive, so that the solution is not unique, or a feature is not finite.
    """
    if not l2 > 0:
        raise InputError(f"l2 must be above 0, got {l2}", where="softmax regression")
    features, target = examples.features.double(), examples.label_dist.double()
    if not bool(features.isfinite().all()):
        row = int((~features.isfinite().all(-1)).nonzero()[0])
        raise InputError(f"row {row} of the training features is not finite", where="softmax regression")
    mean, deviation = features.mean(0), features.std(0, unbiased=False)
    varies = deviation > 1e-12 * features.abs().amax(0).clamp(min=1e-300)
    scale = torch.where(varies, 1 / deviation, torch.zeros_like(deviation))
    inputs, axes = _fewer_columns((features - mean) * scale)
    weight = torch.zeros(features.shape[1], target.shape[1], dtype=torch.float64)
    bias = torch.zeros(target.shape[1], dtype=torch.float64)
    if start is not None:
        weight, bias = start.weight, start.bias.clone()
    weight = axes.T @ weight if axes is not None else weight.clone()
    slopes = _minimise(inputs, target, weight=weight, bias=bias, l2=l2)
    slope = slopes[0] if axes is None else axes @ slopes[0]
    converged = max(float(slope.abs().max()), float(slopes[1].abs().max())) <= 10 * GRADIENT_BELOW
    weight = axes @ weight if axes is not None else weight
    return SoftmaxRegression(weight, bias, mean, scale, l2, converged)


def _fewer_columns(
    inputs: Float[Tensor, "item feature"],
) -> tuple[Float[Tensor, "item axis"], Float[Tensor, "feature axis"] | None]:
    """The inputs in an orthonormal basis of their rows, where that has fewer axes than there are features.

    The penalty is the same in any such basis, and the best weights lie in the rows' span: the solution stays exact.
    """
    if inputs.shape[1] <= inputs.shape[0]:
        return inputs, None
    axes, rows = torch.linalg.qr(inputs.T)
    return rows.T, axes


def best_fit(train: Examples, validation: Examples) -> SoftmaxRegression:
    """The fit of `L2_GRID` with the smallest KL on validation, the stronger penalty on a tie.

    Penalties are tried from the strongest on, until `PATIENCE` in a row are worse than the best: the weakest, which
    take the longest, are then left out.
    """
    best, best_kl, last, worse = None, float("inf"), None, 0
    for l2 in L2_GRID:
        last = fit(train, l2=l2, start=last)
        kl = last.kl(validation)
        worse = 0 if kl < best_kl else worse + 1
        if best is None or kl < best_kl:
            best, best_kl = last, kl
        if worse == PATIENCE:
            break
    assert best is not None  # the grid is not empty
    return best


def _minimise(
    inputs: Tensor, target: Tensor, *, weight: Tensor, bias: Tensor, l2: float
) -> tuple[Tensor, Tensor]:
    """Move `weight` and `bias` to the minimum, and return the derivatives by each that are left there."""
    steps = torch.optim.LBFGS(
        [weight.requires_grad_(), bias.requires_grad_()],
        max_iter=MOST_STEPS,
        history_size=20,
        tolerance_grad=GRADIENT_BELOW,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        steps.zero_grad()
        divergence = kl_from_logits(target, inputs @ weight + bias).mean()
        loss = divergence + l2 / 2 * weight.square().sum()
        torch.autograd.backward(loss)
        return loss

    with torch.enable_grad():
        steps.step(closure)  # type: ignore[no-untyped-call]
        closure()
    assert weight.grad is not None and bias.grad is not None
    weight.requires_grad_(False)
    bias.requires_grad_(False)
    return weight.grad, bias.grad
