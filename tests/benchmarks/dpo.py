"""A DPO step on given pairs against TRL's: reference by the adapter switched off on both sides.

python tests/benchmarks/dpo.py --pairs 2 --prompt-tokens 200 --tokens 64
"""

from collections.abc import Sequence
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
    optimiser_of,
    peer,
    policy_of,
    take_turns,
    text_of,
)

from lalm_ambig.core.types import Batch, Groups
from lalm_ambig.methods.dpo import DPO
from lalm_ambig.objectives.dpo import DPOObjective

ROWS = 16


def rows_of(tokenizer: Any, options: Any) -> list[dict[str, str]]:
    """Pairs of exactly C tokens each, behind prompts of exactly P."""
    return [
        {
            "prompt": text_of(tokenizer, options.prompt_tokens, salt=n),
            "chosen": text_of(tokenizer, options.tokens, salt=n * 7 % 60 + 3),
            "rejected": text_of(tokenizer, options.tokens, salt=n * 7 % 60 + 31),
        }
        for n in range(ROWS)
    ]


class GivenPairs(DPO):
    """DPO whose rejected responses are given, not sampled."""

    given: Groups

    def sample(self, batches: Sequence[Batch], **_: Any) -> list[Groups]:
        return [self.given]

    def _rejected(self, batch: Batch, groups: Groups) -> torch.Tensor:
        return torch.ones(len(batch.items), 1, dtype=torch.bool)


def as_groups(policy: Any, texts: list[str]) -> Groups:
    ids = torch.tensor([policy.text_ids(text) for text in texts])[:, None]
    yes, flags = torch.ones_like(ids, dtype=torch.bool), torch.ones(len(texts), 1, dtype=torch.bool)
    nothing = torch.zeros(ids.shape)
    dist = torch.full((len(texts), 1, 3), 1 / 3)
    return Groups(ids, yes, ~yes, nothing, dist, dist, flags, ~flags, ~flags, tuple((t,) for t in texts))


def main() -> None:
    options = arguments(__doc__, pairs=2, prompt_tokens=200, tokens=64)
    clock, ours, policy = Clock(), None, None
    if options.only != "trl":
        policy = policy_of(options)
        method = GivenPairs(policy, objective=DPOObjective(kl_weight=0.0, ce_weight=0.0))
        attach(method, policy)
        optimiser = optimiser_of(policy)
        rows = rows_of(policy.tokenizer, options)

        def ours(step: int) -> None:
            chosen = [rows[(step * options.pairs + n) % ROWS] for n in range(options.pairs)]
            batch = batch_of(policy, [r["prompt"] for r in chosen], [r["chosen"] for r in chosen])
            method.given = as_groups(policy, [r["rejected"] for r in chosen])
            assert batch.prompt.ids.shape[1] == options.prompt_tokens
            with clock("ours"):
                descend(method, batch, optimiser)
            assert method.given.ids.shape[-1] == options.tokens

    more = take_turns(options, ours, lambda: train_trl(options, clock, ours))
    scored = options.pairs * 2 * options.tokens
    work = Work(trained=options.pairs * options.prompt_tokens + scored, scored=scored, reference=True)
    finish(options, clock, policy=policy, work=work, **more)


def train_trl(options: Any, clock: Clock, ours: Any) -> dict[str, Any]:
    from trl import DPOConfig, DPOTrainer

    config = DPOConfig(
        per_device_train_batch_size=options.pairs,
        gradient_accumulation_steps=1,
        max_length=None,
        beta=0.1,
        **common_settings(options),
    )
    trainer = DPOTrainer(
        args=config, **peer(options, lambda tokenizer: rows_of(tokenizer, options), TakeTurns(clock, ours))
    )
    shapes: list[list[int]] = []
    compute = trainer.compute_loss

    def watched(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        shapes.append(list(inputs["input_ids"].shape))
        return compute(model, inputs, *rest, **named)

    trainer.compute_loss = watched
    trainer.train()
    return {"trl_shape": shapes[0]}


if __name__ == "__main__":
    main()
