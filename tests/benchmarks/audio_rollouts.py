"""A GRPO step on clips: each prompt computed once for its group, against the plain way, on a real audio model.

    python tests/benchmarks/audio_rollouts.py --policy-path DIR --root CREMA-D [--rollouts 8] [--tokens 64] [--steps 4]

Both take turns on the same clips; the last line is JSON: medians of CPU and wall seconds, their ratio, and how far the
log-probabilities of the same sampled tokens are apart.
"""

import argparse
import json
import os
import statistics
import time
from typing import Any

import torch

from lalm_ambig.core.types import Batch
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rollouts.passages import score_spans
from lalm_ambig.rollouts.sampling import Sampling


def method_of(options: Any) -> GRPO:
    """Float32, so that differences are those of the way and not of rounding; every response has exactly C tokens."""
    policy = Qwen2Audio(options.policy_path, adapter=Adapter(), dtype="float32")
    policy.load()
    policy.ends = []
    method = GRPO(
        policy,
        rewards=[Agreement()],
        objective=GRPOObjective(kl_weight=options.kl_weight),
        grouping=Grouping(group_size=options.rollouts),
        sampling=Sampling(max_new_tokens=options.tokens),
    )
    corpus = CremaD(options.root)
    method.attach(Encoder(policy, corpus.categories, Elicitation(corpus.prompt, reasoning=True)))
    return method


def seconds(method: GRPO, batch: Batch, *, share: bool) -> tuple[float, float]:
    """CPU and wall time of one step without the optimiser's own."""
    method.share_prompt = share
    wall, cpu = time.perf_counter(), time.process_time()
    method.reduce(method.gather(batch)).total.backward()
    spent = time.process_time() - cpu, time.perf_counter() - wall
    method.policy.zero_grad(set_to_none=True)
    return spent


@torch.no_grad()
def largest_difference(method: GRPO, batch: Batch) -> float:
    """Between the shared and the plain way, over the same sampled tokens."""
    method.share_prompt = True
    [collected] = method.collect([batch])
    found = []
    with method.policy.eval_mode():
        for share in (True, False):
            method.share_prompt = share
            found.append(score_spans(method.policy, batch, collected.spans(), method.pass_settings).log_probs)
    return float((found[0] - found[1]).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policy-path", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--kl-weight", type=float, default=0.0)
    parser.add_argument("--steps", type=int, default=4, help="of each way, the first one a warm-up")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    method = method_of(options)
    items = [item for item, _ in zip(CremaD(options.root).read(), range(options.steps), strict=False)]
    spent: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for item in items:
        batch = method.encoder([item])
        for share in (True, False):
            spent[share].append(seconds(method, batch, share=share))
    medians = {
        share: [statistics.median(column) for column in zip(*rows[1:], strict=True)]
        for share, rows in spent.items()
    }
    print(
        json.dumps(
            {
                "benchmark": "audio_rollouts",
                "rollouts": options.rollouts,
                "prompt_tokens": method.encoder(items[-1:]).prompt.ids.shape[1],
                "tokens": options.tokens,
                "shared_cpu_s": round(medians[True][0], 3),
                "plain_cpu_s": round(medians[False][0], 3),
                "ratio_cpu": round(medians[False][0] / medians[True][0], 2),
                "ratio_wall": round(medians[False][1] / medians[True][1], 2),
                "largest_log_prob_difference": round(
                    largest_difference(method, method.encoder(items[-1:])), 7
                ),
                "load_average": os.getloadavg()[0],
            }
        )
    )


if __name__ == "__main__":
    main()
