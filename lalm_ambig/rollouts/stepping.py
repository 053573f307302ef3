"""The steps of a decode loop: each on its own, or recorded once as a CUDA graph and repeated.

On a GPU a step of a 7B model is a few thousand small launches, and the host needs longer to ask for them than the
device to compute them. A graph asks once. It needs shapes that stay the same (see `RolloutCache.fix_shapes`), so it is
recorded anew for each doubling of the buffers. Its first result must be that of the same step without a graph; if it is
not, or if recording fails, the loop goes on step by step, and a line says so.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lalm_ambig.core import distributed
from lalm_ambig.policies.base import Policy
from lalm_ambig.rollouts.decoder import RolloutDecoder, SharedDecoder
from lalm_ambig.rollouts.sampling import Sampling, choose_tokens

Step = tuple[Float[Tensor, "row channel"], Int[Tensor, " row"], Float[Tensor, " row"]]
"""Hidden states that predict each row's next token, that token, and its log-probability in nats."""
Record = Callable[[Callable[[], Step]], tuple[Step, Callable[[], None]]]
"""Records a step, which it may run several times; gives its outputs, and what repeats it into them."""
CLOSE = 1e-3
"""Largest difference in nats between log-probabilities of a step with and without a graph."""


class Stepping(ABC):
    """Chooses each row's next token, step by step."""

    def __init__(self, policy: Policy, decoder: RolloutDecoder, sampling: Sampling, noise: Tensor) -> None:
        """Args:
        policy: The policy.
        decoder: It has not been started.
        sampling: How tokens are chosen.
        noise: Uniform numbers in [0, 1) [step, row] on the policy's device; one more step than will be taken.
        """
        self.policy, self.decoder, self.sampling, self.noise = policy, decoder, sampling, noise

    def start(self) -> tuple[Int[Tensor, " row"], Float[Tensor, " row"]]:
        """Each row's first token and its log-probability."""
        return choose_tokens(self.policy.logits(self.decoder.start()), self.sampling, self.noise[0])

    @abstractmethod
    def after(self, tokens: Int[Tensor, " row"]) -> Step:
        """What comes after these tokens, one per row."""

    def keep(self, kept: Sequence[int]) -> Int[Tensor, " row"] | None:
        """Go on with some rows only (see `RolloutDecoder.keep`).

        Returns:
            The places of the rows that go on, on the policy's device; None if all do.
        """
        rows = len(self.decoder.rows)
        left = self.decoder.keep(kept)
        if len(left) == rows:
            return None
        places = torch.tensor(left, device=self.policy.device)
        self.noise = self.noise.index_select(1, places)
        return places

    @abstractmethod
    def finish(self) -> None:
        """Leave the decoder as one whose steps were taken on their own."""


class OneByOne(Stepping):
    """Each step on its own."""

    def after(self, tokens: Int[Tensor, " row"]) -> Step:
        hidden = self.decoder.step(tokens)
        noise = self.noise[self.decoder.steps]
        return hidden, *choose_tokens(self.policy.logits(hidden), self.sampling, noise)

    def finish(self) -> None:
        """Nothing is left to do."""


class Recorded(Stepping):
    """A step recorded once, and repeated."""

    decoder: SharedDecoder

    def __init__(
        self, policy: Policy, decoder: SharedDecoder, sampling: Sampling, noise: Tensor, *, record: Record
    ) -> None:
        super().__init__(policy, decoder, sampling, noise)
        self.record = record
        self.alone = OneByOne(policy, decoder, sampling, noise)
        self.failed = False
        self.repeat: Callable[[], None] | None = None
        self.outputs: Step | None = None

    def after(self, tokens: Int[Tensor, " row"]) -> Step:
        cache = self.decoder.cache
        if self.failed or not cache.responses:  # the first step makes the buffers
            return self.alone.after(tokens)
        if cache.place is None:
            cache.fix_shapes()
            self.tokens = tokens.clone()
        if cache.make_room():
            self.repeat = None
        self.tokens.copy_(tokens)
        if self.repeat is None and not self._record():
            return self.alone.after(tokens)
        assert self.repeat is not None and self.outputs is not None
        self.repeat()
        self.decoder.advance()
        hidden, chosen, log_probs = (output.clone() for output in self.outputs)
        return hidden, chosen, log_probs

    def keep(self, kept: Sequence[int]) -> Int[Tensor, " row"] | None:
        places = super().keep(kept)
        if places is not None:
            self.alone.noise = self.noise
            self.repeat = None  # the shapes are others
            if self.decoder.cache.place is not None:
                self.tokens = self.tokens.index_select(0, places)
        return places

    def finish(self) -> None:
        self.repeat = self.outputs = None
        self.decoder.cache.free_shapes()

    def _step(self) -> Step:
        """The step in fixed shapes. Nothing of it may depend on a number of the host that changes."""
        place = self.decoder.cache.place
        assert place is not None
        hidden = self.decoder.states_of(self.tokens)
        noise = self.noise.index_select(0, place + 1)[0]
        return hidden, *choose_tokens(self.policy.logits(hidden), self.sampling, noise)

    def _record(self) -> bool:
        """Record the step. False, with a line, where that fails or its result is another one."""
        _, tokens, log_probs = self._step()
        try:
            self.outputs, self.repeat = self.record(self._step)
            self.repeat()
            difference = float((self.outputs[2] - log_probs).abs().max())
            problem = (
                ""
                if torch.equal(self.outputs[1], tokens) and difference <= CLOSE
                else (f"its result differs by {difference:.2g} nats")
            )
        except (RuntimeError, NotImplementedError) as error:
            problem = str(error).splitlines()[0]
        if problem:
            self.failed, self.repeat = True, None
            self.decoder.cache.free_shapes()
            if distributed.is_first():
                print(f"sampling goes on without a CUDA graph: {problem}", file=sys.stderr)
        return not problem


def stepping(policy: Policy, decoder: RolloutDecoder, sampling: Sampling, noise: Tensor) -> Stepping:
    """The way to take a loop's steps: recorded where it is asked for and the device and decoder allow it."""
    if sampling.cuda_graphs and policy.device.type == "cuda" and isinstance(decoder, SharedDecoder):
        return Recorded(policy, decoder, sampling, noise, record=cuda_graph)
    return OneByOne(policy, decoder, sampling, noise)


def cuda_graph(step: Callable[[], Step]) -> tuple[Step, Callable[[], None]]:
    """Record a step as a CUDA graph."""
    cuda: Any = torch.cuda
    stream = cuda.Stream()
    stream.wait_stream(cuda.current_stream())
    with cuda.stream(stream):  # a first run off the main stream makes what libraries keep
        step()
    cuda.current_stream().wait_stream(stream)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        outputs = step()
    return outputs, graph.replay
