"""A SHALA step against TRL's GRPO with the same reward as a function: the same prompts, K responses of C tokens, LoRA.

    python tests/benchmarks/shala.py --prompts 4 --rollouts 4 --prompt-tokens 200 --tokens 128

The step is that of SHALA-LLM, appendix D.2: 4 prompts, 4 responses each, temperature 1.2, 128 new tokens, β = 0.
Here every response has exactly 128, so that both sides do the same work. The last line is JSON.
"""

from typing import Any

import torch
from limits import Work
from trl_peer import (
    CLASSES,
    Clock,
    TakeTurns,
    arguments,
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

from lalm_ambig.core.distributions import js_distance, normalised_entropy
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.rewards.shala import Shala
from lalm_ambig.rollouts.parsing import parse_responses
from lalm_ambig.rollouts.sampling import Sampling

TEMPERATURE = 1.2


def our_method(options: Any) -> GRPO:
    """Our side; no token ends a response, so that each has exactly C."""
    policy = policy_of(options)
    policy.ends = []
    method = GRPO(
        policy,
        rewards=[Shala()],
        objective=GRPOObjective(kl_weight=0.0),
        grouping=Grouping(group_size=options.rollouts),
        sampling=Sampling(max_new_tokens=options.tokens, temperature=TEMPERATURE),
        reasoning=False,
        readout="verbalised",
    )
    method.attach(Encoder(policy, CLASSES, Elicitation("inference", reasoning=False, readout="verbalised")))
    return method


def reward_of(texts: list[str]) -> list[float]:
    """What SHALA gives for the label distribution of `batch_of`'s items."""
    label = torch.tensor([[0.25, 0.25, 0.5]] * len(texts))
    dist, unparsed = parse_responses(texts, CLASSES)
    rewards = normalised_entropy(label) * (1 - js_distance(label, dist))
    return [0.0 if reason else float(value) for value, reason in zip(rewards, unparsed, strict=True)]


def prompts_of(tokenizer: Any, options: Any, step: int) -> list[str]:
    return [
        text_of(tokenizer, options.prompt_tokens, salt=(options.prompts * step + n) % 12)
        for n in range(options.prompts)
    ]


def main() -> None:
    options = arguments(__doc__, prompts=4, rollouts=4, prompt_tokens=200, tokens=128)
    clock, method, ours = Clock(), None, None
    if options.only != "trl":
        method = our_method(options)
        policy: Any = method.policy
        optimiser = optimiser_of(policy)

        def ours(step: int) -> None:
            batch = batch_of(policy, prompts_of(policy.tokenizer, options, step))
            with clock("ours"):
                descend(method, batch, optimiser)
            assert len(method.rollout_rows) == options.rollouts * options.prompts

    more = take_turns(options, ours, lambda: train_trl(options, clock, ours))
    if method is not None and options.only != "ours":
        batch = batch_of(policy, prompts_of(policy.tokenizer, options, 3))
        more["largest_log_prob_difference"] = largest_difference(method, batch)
    rows = options.prompts * options.rollouts
    work = Work(
        trained=options.prompts * options.prompt_tokens + rows * options.tokens,
        scored=rows * options.tokens,
        read=options.prompts * options.prompt_tokens,
        steps=options.tokens,
        rows=rows,
    )
    finish(options, clock, policy=None if method is None else policy, work=work, **more)


def train_trl(options: Any, clock: Clock, ours: Any) -> None:
    from trl import GRPOConfig, GRPOTrainer

    def rows(tokenizer: Any) -> list[dict[str, str]]:
        return [{"prompt": text_of(tokenizer, options.prompt_tokens, salt=n)} for n in range(12)]

    config = GRPOConfig(
        per_device_train_batch_size=options.rollouts * options.prompts,
        num_generations=options.rollouts,
        steps_per_generation=1,
        gradient_accumulation_steps=1,
        max_completion_length=options.tokens,
        beta=0.0,
        temperature=TEMPERATURE,
        generation_kwargs={"min_new_tokens": options.tokens},
        **({"use_vllm": True, "vllm_mode": "colocate"} if options.trl_vllm else {}),
        **common_settings(options),
    )
    GRPOTrainer(
        reward_funcs=lambda completions, **_: reward_of(completions),
        args=config,
        **peer(options, rows, TakeTurns(clock, ours)),
    ).train()


if __name__ == "__main__":
    main()
