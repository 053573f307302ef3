"""The reference policy: the same weights with training's changes taken back, never a second copy of the model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters

ReferenceKind = Literal["base", "start"]
"""`base`: the base model, with the adapter switched off: π_ref of ambiguity-aware LALM. `start`: the policy as this
training found it, for a base model that cannot do the task yet; a copy of the trained weights is kept."""


PROBE = "The voice is calm, and people disagree about it."
"""Text on which policy and reference are compared."""


class Reference:
    """The policy that preferences and penalties are measured against."""

    def __init__(self, kind: ReferenceKind) -> None:
        """Args:
        kind: See `ReferenceKind`.
        """
        self.kind = kind
        self.start_weights: dict[str, Tensor] = {}
        """Trained weights at the start, by parameter name; only for `start`."""

    def snapshot(self, policy: Policy) -> None:
        """Note the policy's weights as they are now.

        Raises:
            InputError: `base` is asked for under full fine-tuning, which leaves no base to go back to.
        """
        if self.kind == "base":
            if policy.adapter.method == "full":
                raise InputError(
                    "full fine-tuning changes the base model itself, so reference: base is gone:",
                    where="model.reference",
                    remedy="set reference to start, or the weight of the penalty to 0.",
                )
            return
        self.start_weights = {name: p.detach().clone() for name, p in trained_parameters(policy)}

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Take the start's weights from a checkpoint."""
        self.start_weights = dict(weights)

    @contextmanager
    def active(self, policy: Policy) -> Iterator[None]:
        """Inside, the policy is the reference, in evaluation mode and without gradients."""
        with torch.no_grad(), policy.eval_mode():
            if self.kind == "base":
                with policy.adapter_off():
                    yield
                return
            parameters = dict(trained_parameters(policy))
            self._swap(parameters)
            try:
                yield
            finally:
                self._swap(parameters)

    def _swap(self, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        """Exchange start and current weights, without copying any."""
        for name, parameter in parameters.items():
            start = self.start_weights[name].to(parameter.device)
            self.start_weights[name], parameter.data = parameter.data, start

    @torch.no_grad()
    def verify(self, policy: Policy, *, started: bool) -> None:
        """Check the reference before the first step.

        A policy that was started from an earlier run must differ from the base model. In any other case nothing was
        trained yet, so policy and reference must be equal.

        Args:
            policy: The policy, with the weights that training starts from.
            started: Whether these are an earlier run's.

        Raises:
            InputError: The reference is not what it must be.
        """
        with policy.eval_mode():
            states = _probe_states(policy)
        with self.active(policy):
            difference = float((states - _probe_states(policy)).abs().max())
        must_differ = self.kind == "base" and started
        if must_differ and difference == 0:
            raise InputError(
                "the policy that was started from answers exactly as the base model: its adapter has no effect.",
                where="model.start",
                remedy="Check that it belongs to this base model.",
            )
        if not must_differ and difference > 0:
            raise InputError(
                f"the reference differs from the policy by {difference:.2g} though nothing was trained yet.",
                where="model.reference",
                remedy="Is a base layer trained, or an adapter merged? Run doctor.",
            )


def _probe_states(policy: Policy) -> Float[Tensor, "1 token channel"]:
    """Hidden states of the probe, float32."""
    ids = torch.tensor([policy.prompt_ids([{"type": "text", "text": PROBE}])], device=policy.device)
    mask = torch.ones_like(ids, dtype=torch.bool)
    return policy.hidden(policy.embed_ids(ids), mask, ids=ids).float()
