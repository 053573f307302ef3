"""The default engine: the policy's own decode loop."""

from typing import ClassVar

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Batch
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.engines.base import Draw, Engine, Sampled
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise


class InProcess(Engine):
    """Samples with the weights that are trained, in this process."""

    is_exact: ClassVar[bool] = True

    def __init__(self, *, overlap: bool = False) -> None:
        """Args:
        overlap: Must be false: there is no other process that could sample meanwhile.

        Raises:
            InputError: It is true.
        """
        if overlap:
            raise InputError(
                "InProcess samples in the process that trains, and cannot do both at a time:",
                where="model.engine",
                remedy="set overlap to false, or engine to VLLM.",
            )

    def check_reachable(self) -> None:
        """It is here."""

    def check(self, policy: Policy, sampling: Sampling) -> None:
        """The policy samples for itself."""

    def update(self, policy: Policy, step: int) -> None:
        """The weights are those that are trained."""

    def close(self) -> None:
        """It holds nothing."""

    def sample(self, policy: Policy, batch: Batch, request: Request, draw: Draw) -> Sampled:
        noise = uniform_noise(
            [item.id for item in batch.items],
            seed=draw.seed,
            step=draw.step,
            group_size=request.group_size,
            tokens=request.sampling.max_new_tokens,
        )
        generated = generate(policy, batch, request, noise=noise)
        return Sampled(generated.responses, generated)
