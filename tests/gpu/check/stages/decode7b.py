"""Tokens a second of the decode loop at 7B, beside transformers' own loop and the memory's bandwidth.

A step's time is the difference of two lengths, so that the prompt's pass does not count.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from product.decoding import Decoding, decode_by_transformers, decoder_bytes, never_ending
from torch.profiler import ProfilerActivity, profile

from check.device import GB
from check.runner import Stage
from check.steps import connected

FEWEST = 2
"""Tokens of the shorter of the two lengths."""
PROFILED = 8
"""Tokens of the decoding that is profiled."""
COPIED = 2 * 1024**3
"""Numbers of two bytes in the buffer whose copy measures the bandwidth."""
COPIES = 10


def run(stage: Stage) -> None:
    cli = connected(stage, "qwen2_audio", "grpo", "--data.batch_size=2")
    policy, encoder = cli.model.policy, cli.model.encoder
    policy.to(stage.device.name)
    most = 4 if stage.options.toy else 64
    kinds = grid(cli.datamodule.items("train"))

    def decode(decoding: Decoding, tokens: int) -> None:
        decoding.run(policy, encoder, tokens=tokens)

    with never_ending(policy):
        with stage.facts.attempt("warm-up"):
            decode(kinds["1 prompt x 8"], FEWEST)
        for name, decoding in kinds.items():
            without_adapter = policy.adapter_off() if "adapter off" in name else nullcontext()
            with stage.facts.attempt(f"decode {name}"), without_adapter:
                rows = len(decoding.items) * decoding.group_size
                _speed(stage, f"decode {name}", lambda tokens: decode(decoding, tokens), rows=rows, most=most)  # noqa: B023
        with stage.facts.attempt("CUDA graph's responses"):
            _compare(stage, policy, encoder, kinds["2 prompts x 8"], tokens=most)
        with stage.facts.attempt("profile"):
            _profile(stage, lambda: decode(kinds["2 prompts x 8"], PROFILED))
    with stage.facts.attempt("transformers' loop"):

        def by_transformers(tokens: int) -> None:
            decode_by_transformers(policy, rows=16, prompt=64, tokens=tokens)

        _speed(stage, "transformers' own loop, adapter off, no autocast", by_transformers, rows=16, most=most)
    with stage.facts.attempt("bandwidth"):
        _bandwidth(stage, policy)


def grid(items: Sequence[Any]) -> dict[str, Decoding]:
    """The kinds of decoding that are timed, by name."""
    return {
        "1 prompt x 8": Decoding(items[:1], 8),
        "2 prompts x 8": Decoding(items[:2], 8),
        "8 prompts x 8": Decoding(items[:8], 8),
        "8 prompts x 32": Decoding(items[:8], 32),
        "2 prompts x 8, prompts not shared": Decoding(items[:2], 8, share_prompt=False),
        "2 prompts x 8, no autocast": Decoding(items[:2], 8, autocast=None),
        "2 prompts x 8, adapter off": Decoding(items[:2], 8),
        "2 prompts x 8, adapter merged": Decoding(items[:2], 8, merge=True),
        "2 prompts x 8, CUDA graph": Decoding(items[:2], 8, graphs=True),
        "8 prompts x 8, CUDA graph": Decoding(items[:8], 8, graphs=True),
        "8 prompts x 8, CUDA graph, adapter merged": Decoding(items[:8], 8, merge=True, graphs=True),
    }


def _compare(stage: Stage, policy: Any, encoder: Any, decoding: Decoding, *, tokens: int) -> None:
    """How many responses a recorded step leaves as they are; in bfloat16 some tokens may be others by rounding."""
    one, other = (
        replace(decoding, graphs=graphs).run(policy, encoder, tokens=tokens).responses
        for graphs in (False, True)
    )
    same = sum(a.ids == b.ids for a, b in zip(one, other, strict=True))
    stage.facts.note("responses that are the same with a CUDA graph", f"{same} of {len(one)}")


def _speed(stage: Stage, what: str, decode: Callable[[int], None], *, rows: int, most: int) -> None:
    """Note a step's time, from decoding few tokens and from decoding many."""
    stage.device.reset_peak()
    short_s = stage.device.seconds(lambda: decode(FEWEST))
    long_s = stage.device.seconds(lambda: decode(most))
    step_s = (long_s - short_s) / (most - FEWEST)
    speed = f"{rows / step_s:.0f} tokens/s" if step_s > 0 else "too short to be measured"
    stage.facts.note(what, speed, step_ms=round(1e3 * step_s, 1), **stage.device.memory_gb())


def _profile(stage: Stage, decode: Callable[[], None]) -> None:
    """Where a step's time goes: the table in a file, its sums as a fact."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if stage.device.is_gpu else [])]
    with profile(activities=activities) as profiled:
        took_s = stage.device.seconds(decode)
    events = profiled.key_averages()
    busy_s = sum(event.self_device_time_total for event in events) / 1e6
    waits = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaMemcpyAsync")
    stage.facts.note(
        f"profile of {PROFILED} steps, 16 rows",
        f"the device is busy {busy_s:.2f} of {took_s:.2f} s (profiled)",
        launches=sum(event.count for event in events if "LaunchKernel" in event.key),
        copies_and_waits=sum(event.count for event in events if event.key in waits),
    )
    table = events.table(sort_by="self_cpu_time_total", row_limit=60)
    (stage.options.out / "decode_profile.txt").write_text(table)


def _bandwidth(stage: Stage, policy: Any) -> None:
    """Bytes a second of a copy, and the time below which no decode step can be: each weight is read once."""
    if not stage.device.is_gpu:
        return
    source = torch.empty(COPIED, dtype=torch.bfloat16, device=stage.device.name)
    target = torch.empty_like(source)
    target.copy_(source)

    def copy() -> None:
        for _ in range(COPIES):
            target.copy_(source)

    rate = COPIES * 2 * source.numel() * source.element_size() / stage.device.seconds(copy)
    weights = decoder_bytes(policy)
    stage.facts.note(
        "memory bandwidth",
        f"{rate / 1e12:.2f} TB/s",
        decoder_gb=round(weights / GB, 1),
        floor_of_a_step_ms=round(1e3 * weights / rate, 2),
    )
