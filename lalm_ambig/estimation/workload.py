"""Token counts of one step of a method: its prompts, its responses, and how often they are sampled."""

from dataclasses import dataclass, replace
from functools import singledispatch

from lalm_ambig.methods.base import Method
from lalm_ambig.methods.dpo import DPO
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT


@dataclass(frozen=True)
class Lengths:
    """Numbers of tokens of the longest expected texts."""

    prompt: int
    """Tokens of the instruction, the text, the audio and the chat template."""
    audio: int
    """Audio tokens among them; 0 for text."""
    curated: int
    """Tokens of the curated response."""
    common: int = 0
    """Tokens at the beginning of the prompt that all prompts have."""


@dataclass(frozen=True)
class Workload:
    """One training step of one process."""

    items: int
    prompt: int
    """Tokens of a prompt."""
    audio: int
    """Audio tokens among them."""
    responses: tuple[int, ...]
    """Tokens of each response per prompt that is trained on."""
    rollouts: int = 0
    """Responses sampled per prompt (K); 0 where the method samples none."""
    longest: int = 0
    """Most tokens of a sampled response."""
    shares: bool = True
    """Whether a prompt is computed once for all of its responses."""
    common: int = 0
    """Tokens of a prompt that all prompts begin with."""
    keeps_start: bool = False
    """Whether a copy of the trained weights is held as the reference."""

    @property
    def counted(self) -> int:
        """Number of tokens whose log-probability is computed."""
        return self.items * sum(self.responses)

    @property
    def tokens(self) -> int:
        """Number of tokens that a training pass computes."""
        if not self.shares:
            return self.items * (len(self.responses) * self.prompt + sum(self.responses))
        return self.common + self.items * (self.prompt - self.common + sum(self.responses))


def workload(method: Method, lengths: Lengths, *, items: int) -> Workload:
    """A step of the method on that many items. Every response is assumed to have its largest length."""
    return replace(_step(method, lengths, items), common=lengths.common)


@singledispatch
def _step(method: Method, lengths: Lengths, items: int) -> Workload:
    raise TypeError(f"no workload of {items} items of {lengths} is known for {type(method).__name__}")


@_step.register
def _sft(method: SFT, lengths: Lengths, items: int) -> Workload:
    curated = (lengths.curated,) if method.objective.uses_curated else ()
    own = method.group_size if method.samples else 0
    return Workload(
        items,
        lengths.prompt,
        lengths.audio,
        responses=(*curated, *(method.sampled_tokens,) * own),
        rollouts=own,
        longest=method.sampled_tokens,
        shares=method.shares,
    )


@_step.register
def _dpo(method: DPO, lengths: Lengths, items: int) -> Workload:
    sampled = method.negatives.group_size
    rejected = sampled if method.negatives.choose == "all" or method.reads_own else 1
    longest = method.sampling.max_new_tokens
    return Workload(
        items,
        lengths.prompt,
        lengths.audio,
        responses=(lengths.curated, *(longest,) * rejected),
        rollouts=sampled,
        longest=longest,
        shares=method.shares,
        keeps_start=method.reference is not None and method.reference.kind == "start",
    )


@_step.register
def _grpo(method: GRPO, lengths: Lengths, items: int) -> Workload:
    longest, size = method.sampling.max_new_tokens, method.grouping.group_size
    beside = method.curated is not None or method.objective.curated_ce_weight > 0
    curated = (lengths.curated,) if beside else ()
    return Workload(
        items,
        lengths.prompt,
        lengths.audio,
        responses=(*(longest,) * size, *curated),
        rollouts=size,
        longest=longest,
        shares=method.shares,
        keeps_start=method.reference is not None and method.reference.kind == "start",
    )
