r"""What the policy answers after its own responses: the half of a reward's gradient that needs no luck.

Ours; neither paper has it. Agreement depends on the policy twice: through the response $z$ that it samples, and through
the distribution $\hat p_\theta(\cdot \mid x, z)$ that is read after it. With $L(z, \theta) = \mathrm{KL}(p \,\|\, \hat
p_\theta(\cdot \mid x, z))$,

$$\nabla_\theta\, \mathbb E_z[L] = \mathbb E_z[L\, \nabla_\theta \log \pi_\theta(z)] + \mathbb E_z[\nabla_\theta L]$$

GRPO estimates the first half alone. `on_policy_kl_weight` adds the second: the divergence after own responses, which
are held fixed. docs/concepts/on_policy.md derives under which settings the sum is exact.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.distributions import kl_from_logits
from lalm_ambig.core.types import MassGradient


@runtime_checkable
class TrainsMass(Protocol):
    """An objective that can train the class mass."""

    @property
    def class_mass_weight(self) -> float: ...
    @property
    def class_mass_gradient(self) -> MassGradient: ...


def mass_gradient(objective: TrainsMass) -> MassGradient | None:
    """How an objective trains the class mass; None where it does not."""
    return objective.class_mass_gradient if objective.class_mass_weight > 0 else None


@dataclass(frozen=True)
class OwnReadouts:
    """Class scores after own responses of the policy."""

    category_logits: Float[Tensor, "group rollout category"]
    label_dist: Float[Tensor, "group category"]
    log_class_mass: Float[Tensor, "group rollout"] | None = None
    """Log of the probability that a class name follows each response, in nats; None where it is not trained."""
    importance: Float[Tensor, "group rollout"] | None = None
    """π(z)/π_old(z) of each response, without gradients; None where the policy is the one that sampled."""

    def divergence(self) -> Float[Tensor, ""]:
        """Mean over groups and responses of KL(p ‖ p̂) in nats, weighted by `importance`.

        >>> import torch
        >>> readouts = OwnReadouts(torch.zeros(1, 2, 2), torch.tensor([[1.0, 0.0]]))
        >>> round(readouts.divergence().item(), 4)
        0.6931
        """
        targets = self.label_dist[:, None].expand_as(self.category_logits)
        return self._mean(kl_from_logits(targets, self.category_logits))

    def missing_mass(self) -> Float[Tensor, ""]:
        """Mean over groups and responses of −log of the class mass in nats, weighted by `importance`."""
        assert self.log_class_mass is not None, "the class mass is computed where it has a weight"
        return self._mean(-self.log_class_mass)

    def _mean(self, values: Float[Tensor, "group rollout"]) -> Float[Tensor, ""]:
        return (values if self.importance is None else values * self.importance).mean()


@dataclass(frozen=True)
class OnPolicyTerms:
    """The two terms with their weights, as every objective adds them."""

    kl_weight: float
    class_mass_weight: float

    def __call__(self, readouts: OwnReadouts | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The weighted terms in nats, and what is logged of them.

        Args:
            readouts: Class scores after own responses; None where no weight asks for them: no terms.

        Returns:
            The terms; `on_policy_kl` in nats and `on_policy_class_mass`, a share in [0, 1], as means over responses.
        """
        if readouts is None:
            return {}, {}
        divergence = readouts.divergence()
        terms, parts = {"on_policy_kl": self.kl_weight * divergence}, {"on_policy_kl": divergence.detach()}
        if readouts.log_class_mass is not None:
            terms["on_policy_class_mass"] = self.class_mass_weight * readouts.missing_mass()
            parts["on_policy_class_mass"] = readouts.log_class_mass.detach().exp().mean()
        return terms, parts
