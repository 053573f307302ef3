"""The reference policy: the same weights with what training changed taken back, never a second copy of the model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.weights.lora import trained_parameters

Kind = Literal["base", "start"]
"""`base`: the base model, the adapter switched off (π_ref of paper A). `start`: the policy as this training found it,
for a base model that cannot do the task yet; a copy of the trained weights is kept."""


PROBE = "The voice is calm, and people disagree about it."
"""What policy and reference are compared on."""


class Reference:
    """What preferences and penalties are measured against."""

    def __init__(self, kind: Kind) -> None:
        """
        Args:
            kind: See `Kind`.
        """
        self.kind = kind
        self.kept: dict[str, Tensor] = {}
        """Trained weights at the start, by parameter name; only for `start`."""

    def take(self, policy: Policy) -> None:
        """Note the policy's weights as they are now. InputError where full fine-tuning leaves no base to go back to."""
        if self.kind == "base":
            if policy.adapter.method == "full":
                raise InputError(
                    "full fine-tuning changes the base model itself, so reference: base is gone:",
                    where="model.reference",
                    remedy="set reference to start, or the weight of the penalty to 0.",
                )
            return
        self.kept = {name: p.detach().clone() for name, p in trained_parameters(policy)}

    def restore(self, kept: Mapping[str, Tensor]) -> None:
        """Take weights that a checkpoint has kept."""
        self.kept = dict(kept)

    @contextmanager
    def of(self, policy: Policy) -> Iterator[None]:
        """Inside, the policy is the reference, in evaluation mode and without gradients."""
        with torch.no_grad(), policy.eval_mode():
            if self.kind == "base":
                with policy.adapter_off():
                    yield
                return
            own = dict(trained_parameters(policy))
            self._swap(own)
            try:
                yield
            finally:
                self._swap(own)

    def _swap(self, own: Mapping[str, torch.nn.Parameter]) -> None:
        """Exchange kept and current weights, without copying any."""
        for name, parameter in own.items():
            kept = self.kept[name].to(parameter.device)
            self.kept[name], parameter.data = parameter.data, kept

    @torch.no_grad()
    def check(self, policy: Policy, *, started: bool) -> None:
        """InputError where the reference is not what it must be before the first step.

        A policy that was started from an earlier run must differ from the base model; in any other case nothing was
        trained yet, so policy and reference must be equal.
        """
        with policy.eval_mode():
            own = _states(policy)
        with self.of(policy):
            difference = float((own - _states(policy)).abs().max())
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


def _states(policy: Policy) -> Tensor:
    """Hidden states of a short text, whatever it says."""
    ids = torch.tensor([policy.prompt_ids([{"type": "text", "text": PROBE}])], device=policy.device)
    mask = torch.ones_like(ids, dtype=torch.bool)
    return policy.hidden(policy.embed_ids(ids), mask, ids=ids).float()
