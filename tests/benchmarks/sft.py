"""An SFT step on ragged texts against TRL's, per real token: padding is not work.

python tests/benchmarks/sft.py --texts 4 --prompt-tokens 200 --tokens 64
"""

import random
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

from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.sft import SFTObjective

SHORTEST_PROMPT, SHORTEST_TEXT = 60, 32


def rows_of(tokenizer: Any, options: Any) -> list[dict[str, str]]:
    """Prompts of 60 to P tokens, completions of 32 to 2C."""
    draw = random.Random(0)
    return [
        {
            "prompt": text_of(tokenizer, draw.randint(SHORTEST_PROMPT, options.prompt_tokens), salt=n % 40),
            "completion": text_of(tokenizer, draw.randint(SHORTEST_TEXT, 2 * options.tokens), salt=n % 50),
        }
        for n in range(options.texts * options.steps)
    ]


def main() -> None:
    options = arguments(__doc__, texts=4, prompt_tokens=200, tokens=64)
    clock, ours, policy = Clock(), None, None
    real, scored = {"ours": 0, "trl": 0}, 0
    if options.only != "trl":
        policy = policy_of(options)
        method = SFT(policy, objective=SFTObjective(ce_weight=1.0, kl_weight=0.0))
        attach(method, policy)
        optimiser = optimiser_of(policy)
        rows = rows_of(policy.tokenizer, options)

        def ours(step: int) -> None:
            nonlocal scored
            chosen = rows[step * options.texts : (step + 1) * options.texts]
            batch = batch_of(policy, [r["prompt"] for r in chosen], [r["completion"] for r in chosen])
            assert batch.curated is not None
            real["ours"] += int(batch.prompt.mask.sum()) + int(batch.curated.response.mask.sum())
            scored += int(batch.curated.response.mask.sum())
            with clock("ours"):
                descend(method, batch, optimiser)

    take_turns(options, ours, lambda: train_trl(options, clock, ours, real))
    steps = max(1, options.steps)
    work = Work(trained=real["ours"] // steps, scored=scored // steps)
    tokens = {side: round(count / steps) for side, count in real.items()}
    finish(options, clock, policy=policy, work=work, tokens_a_step=tokens)


def train_trl(options: Any, clock: Clock, ours: Any, real: dict[str, int]) -> None:
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        per_device_train_batch_size=options.texts,
        gradient_accumulation_steps=1,
        max_length=None,
        completion_only_loss=True,
        **{**common_settings(options), "data_seed": 0},
    )

    class InOrder(SFTTrainer):
        """Both sides see the same texts in the same step."""

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    trainer = InOrder(
        args=config, **peer(options, lambda tokenizer: rows_of(tokenizer, options), TakeTurns(clock, ours))
    )
    compute = trainer.compute_loss

    def watched(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        real["trl"] += int(inputs["attention_mask"].sum())
        return compute(model, inputs, *rest, **named)

    trainer.compute_loss = watched
    trainer.train()


if __name__ == "__main__":
    main()
