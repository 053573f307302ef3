"""An on-policy DPO step (prompts × 2 sampled responses) against TRL's OnlineDPOTrainer: generation and training.

python tests/benchmarks/online_dpo.py --prompts 2 --prompt-tokens 200 --tokens 64
"""

from typing import Any

import torch
from grpo import reward_of
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
    optimiser_of,
    peer,
    policy_of,
    take_turns,
    text_of,
)

from lalm_ambig.core.types import Batch, Loss
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.objectives.dpo import DPOExperience, DPOObjective
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.passages import ScoredSpan, score_spans
from lalm_ambig.rollouts.sampling import Sampling

ROWS = 16


class SampledPairs(DPO):
    """Both responses sampled, the one of the higher reward preferred, as TRL's trainer does it."""

    def gather(self, batch: Batch) -> DPOExperience:
        draw = GroupSampling(self.sampling, 2, self.global_step, self.share_prompt)
        groups = sample_groups(self.encoder, batch, draw)
        passages = []
        for g, texts in enumerate(groups.texts):
            best = int(reward_of(texts[1]) > reward_of(texts[0]))
            for k in (best, 1 - best):
                length = int(groups.mask[g, k].sum())
                passages.append(ScoredSpan(g, groups.ids[g, k, :length], groups.mask[g, k, :length]))
        own = score_spans(self.policy, batch, passages, self.pass_settings).log_probs.sum(-1).view(-1, 2)
        with self.reference.active(self.policy):
            reference = (
                score_spans(self.policy, batch, passages, self.pass_settings).log_probs.sum(-1).view(-1, 2)
            )
        self.sampled = groups
        return DPOExperience(
            own[:, 0], reference[:, 0], own[:, 1:], reference[:, 1:],
            torch.ones(len(own), 1, dtype=torch.bool), None,  # type: ignore[arg-type]
        )  # fmt: skip

    def reduce(self, experience: DPOExperience) -> Loss:
        margins = (experience.chosen - experience.chosen_ref)[:, None] - (
            experience.rejected - experience.rejected_ref
        )
        return Loss(-torch.nn.functional.logsigmoid(self.objective.beta * margins).mean(), {})


def main() -> None:
    options = arguments(__doc__, prompts=2, prompt_tokens=200, tokens=64)
    clock, ours, policy = Clock(), None, None
    if options.only != "trl":
        policy = policy_of(options)
        policy.ends = []  # no token ends a response, so that each has exactly C
        method = SampledPairs(
            policy,
            objective=DPOObjective(),
            negatives=Negatives(group_size=2),
            sampling=Sampling(max_new_tokens=options.tokens),
        )
        attach(method, policy)
        optimiser = optimiser_of(policy)

        def ours(step: int) -> None:
            salts = [(step * options.prompts + n) % ROWS for n in range(options.prompts)]
            batch = batch_of(
                policy, [text_of(policy.tokenizer, options.prompt_tokens, salt=n) for n in salts]
            )
            assert batch.prompt.ids.shape[1] == options.prompt_tokens
            with clock("ours"):
                descend(method, batch, optimiser)
            assert method.sampled.ids.shape == (options.prompts, 2, options.tokens)

    take_turns(options, ours, lambda: train_trl(options, clock, ours))
    rows = options.prompts * 2
    work = Work(
        trained=options.prompts * options.prompt_tokens + rows * options.tokens,
        scored=rows * options.tokens,
        read=options.prompts * options.prompt_tokens,
        steps=options.tokens,
        rows=rows,
        reference=True,
    )
    finish(options, clock, policy=policy, work=work)


def train_trl(options: Any, clock: Clock, ours: Any) -> None:
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    def rows(tokenizer: Any) -> list[dict[str, str]]:
        return [{"prompt": text_of(tokenizer, options.prompt_tokens, salt=n)} for n in range(ROWS)]

    config = OnlineDPOConfig(
        per_device_train_batch_size=options.prompts,
        gradient_accumulation_steps=1,
        max_new_tokens=options.tokens,
        max_length=options.prompt_tokens + options.tokens + 8,
        beta=0.1,
        temperature=1.0,
        generation_kwargs={"min_new_tokens": options.tokens},
        **common_settings(options),
    )
    OnlineDPOTrainer(
        reward_funcs=lambda completions, **_: [reward_of(text) for text in completions],
        args=config,
        **peer(options, rows, TakeTurns(clock, ours)),
    ).train()


if __name__ == "__main__":
    main()
