"""Wall time of GRPO steps whose responses are sampled elsewhere: before each step, and while the one before trains.

    PYTHONPATH=tests python tests/benchmarks/overlap.py [--steps 6] [--prompts 4] [--delay-s 0.3] [--passes 2]

The server is the tests' stub, which waits so long with each answer, as one on another machine would: it computes in
this process, too, but hardly. The last line is JSON: medians of seconds per step both ways, of what a step waits for
its responses, and how far the weights had moved under them, as `engine_weight` and nats per token.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from engine_stub import EngineStub

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.types import Batch, Item, StepPlace
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.rollouts.engines.vllm import VLLM
from lalm_ambig.rollouts.sampling import Sampling


class Slow(EngineStub):
    """A stub that waits before it answers, with as many questions at a time as come."""

    delay_s = 0.0

    def answer(self, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        if path == "/v1/completions" and body is not None and body["n"] > 1:  # a probe is short
            time.sleep(self.delay_s)
        return super().answer(path, body)


class Loop(GRPO):
    """GRPO without a trainer: its step is counted here, and nothing is logged."""

    step = 0
    global_step = property(lambda self: self.step)  # type: ignore[assignment]

    def log_dict(self, *_: Any, **__: Any) -> None:
        """There is no logger."""


def policy() -> Tiny:
    torch.manual_seed(1)
    tiny = Tiny(adapter=Adapter(rank=8))
    tiny.load()
    return tiny


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6, help="each way, after a warm-up")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--delay-s", type=float, default=0.3)
    parser.add_argument(
        "--passes", type=int, default=2, help="updates on each step's responses: more to train"
    )
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for overlap in (False, True):
        name = "overlap" if overlap else "plain"
        found |= {f"{name}_{key}": value for key, value in measured(options, overlap=overlap).items()}
    found["ratio"] = found["plain_step_s"] / found["overlap_step_s"]
    print(json.dumps({**found, "threads": torch.get_num_threads(), "load": os.getloadavg()[0]}))


def measured(options: argparse.Namespace, *, overlap: bool) -> dict[str, float]:
    """Medians of a few steps one way."""
    with Slow(policy()) as stub:
        stub.delay_s = options.delay_s
        engine = VLLM([stub.url], overlap=overlap)
        sampling = Sampling(max_new_tokens=16, seed=0)
        grouping = Grouping(group_size=4, updates=options.passes)
        method = Loop(policy(), sampling=sampling, grouping=grouping, engine=engine)
        engine.check(method.policy, sampling)
        asked = Elicitation("text_emotion", reasoning=True)
        method.attach(Encoder(method.policy, CategorySet(("no", "yes")), asked))
        method.prepare()
        steps = trained(method, batches_of(method.encoder, options), options)
        engine.close()
    keys = ("step_s", "wait_s", "engine_weight", "mismatch_nats")
    return {key: statistics.median(one[n] for one in steps[1:]) for n, key in enumerate(keys)}


def batches_of(encoder: Encoder, options: argparse.Namespace) -> list[Batch]:
    count = options.steps + 1
    items = [Item(f"i{n}", (1.0, 2.0), text=f"This is number {n}.") for n in range(count * options.prompts)]
    parts = [items[n : n + options.prompts] for n in range(0, len(items), options.prompts)]
    return [encoder(part) for part in parts]


def trained(method: Loop, batches: Sequence[Batch], options: argparse.Namespace) -> list[tuple[float, ...]]:
    """Seconds of each step and of its wait for responses, mean weight, and mean mismatch in nats."""
    optimiser = torch.optim.AdamW([p for p in method.policy.parameters() if p.requires_grad], lr=2e-5)
    rows = []
    for batch, following in zip(batches, [*batches[1:], None], strict=True):
        ahead = () if following is None else (following,)
        place = StepPlace(0, 1, len(batch.items), ahead=ahead)
        started = time.perf_counter()
        experience = method.gather(replace(batch, step=place))
        waited = time.perf_counter() - started
        for update in range(options.passes):
            if update:
                experience = method.gather(batch)
            method.reduce(experience).total.backward()
            optimiser.step()
            optimiser.zero_grad()
            method.step += 1
        weights = experience.token_weights
        assert weights is not None
        mask = experience.mask
        mismatch = float(method.values["rollouts/log_prob_mismatch"].mean())
        rows.append((time.perf_counter() - started, waited, float(weights[mask].mean()), mismatch))
    return rows


if __name__ == "__main__":
    main()
