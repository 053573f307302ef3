"""A GRPO step against TRL's: the same prompts, K responses of exactly C tokens, reward, LoRA, optimiser, clip and β.

python tests/benchmarks/grpo.py --rollouts 8 --prompt-tokens 200 --tokens 64 --kl-weight 0
"""

from typing import Any

import torch
from limits import Work
from trl_peer import (
    Clock,
    TakeTurns,
    arguments,
    attach,
    batch_of,
    common_settings,
    descend,
    finish,
    largest_difference,
    optimiser_of,
    peer,
    policy_of,
    take_turns,
    text_of,
)

from lalm_ambig.core.types import Groups
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rollouts.sampling import Sampling


class DistinctCharacters(Reward):
    """A reward that costs nothing and differs between responses; the same function on both sides."""

    def __init__(self) -> None:
        super().__init__(weight=1.0)

    minimum = 0.0

    def score(self, groups: Groups, label_dist: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[reward_of(text) for text in row] for row in groups.texts])

    def upper_bound(self, label_dist: torch.Tensor) -> torch.Tensor:
        return torch.full((len(label_dist),), 7.0)


def reward_of(text: str) -> float:
    """Distinct characters, modulo 7."""
    return float(len(set(text)) % 7)


def our_method(options: Any) -> GRPO:
    """Our side; no token ends a response, so that each has exactly C."""
    policy = policy_of(options)
    policy.ends = []
    method = GRPO(
        policy,
        rewards=[DistinctCharacters()],
        objective=GRPOObjective(kl_weight=options.kl_weight),
        grouping=Grouping(group_size=options.rollouts),
        sampling=Sampling(max_new_tokens=options.tokens),
    )
    attach(method, policy)
    return method


def main() -> None:
    options = arguments(__doc__, rollouts=8, prompt_tokens=200, tokens=64, kl_weight=0.0)
    clock, method = Clock(), None
    ours = None
    if options.only != "trl":
        method = our_method(options)
        optimiser = optimiser_of(method.policy)  # type: ignore[arg-type]

        def ours(step: int) -> None:
            prompt = text_of(method.policy.tokenizer, options.prompt_tokens, salt=step)
            batch = batch_of(method.policy, [prompt])  # type: ignore[arg-type]
            assert batch.prompt.ids.shape[1] == options.prompt_tokens
            with clock("ours"):
                descend(method, batch, optimiser)
            assert len(method.rollout_rows) == options.rollouts

    more = take_turns(options, ours, lambda: train_trl(options, clock, ours))
    if method is not None and options.only != "ours":
        prompt = text_of(method.policy.tokenizer, options.prompt_tokens, salt=3)
        more["largest_log_prob_difference"] = largest_difference(method, batch_of(method.policy, [prompt]))  # type: ignore[arg-type]
    work = Work(
        trained=options.prompt_tokens + options.rollouts * options.tokens,
        scored=options.rollouts * options.tokens,
        read=options.prompt_tokens,
        steps=options.tokens,
        rows=options.rollouts,
        reference=options.kl_weight > 0,
    )
    finish(options, clock, policy=None if method is None else method.policy, work=work, **more)  # type: ignore[arg-type]


def train_trl(options: Any, clock: Clock, ours: Any) -> None:
    from trl import GRPOConfig, GRPOTrainer

    def rows(tokenizer: Any) -> list[dict[str, str]]:
        return [{"prompt": text_of(tokenizer, options.prompt_tokens, salt=n)} for n in range(8)]

    config = GRPOConfig(
        per_device_train_batch_size=options.rollouts,
        num_generations=options.rollouts,
        steps_per_generation=1,
        gradient_accumulation_steps=1,
        max_completion_length=options.tokens,
        beta=options.kl_weight,
        temperature=1.0,
        generation_kwargs={"min_new_tokens": options.tokens},
        **({"use_vllm": True, "vllm_mode": "colocate"} if options.trl_vllm else {}),
        **common_settings(options),
    )
    GRPOTrainer(
        reward_funcs=lambda completions, **_: [reward_of(text) for text in completions],
        args=config,
        **peer(options, rows, TakeTurns(clock, ours)),
    ).train()


if __name__ == "__main__":
    main()
