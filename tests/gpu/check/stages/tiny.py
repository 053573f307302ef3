"""Every method on small models on the device; the first few also on the CPU, to be compared."""

import time
from typing import Any

import combinations
from product.commands import RunFolder, base_predictions, command, fit, losses

from check.runner import Stage
from check.small import fit_words

DRAW = ("--model.sampling.max_new_tokens=16",)
EXACT = ("--trainer.precision=32-true", "--policy.dtype=float32")
CASES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("tiny", "sft", ()),
    ("tiny", "grpo", DRAW),
    ("text", "dpo", (*DRAW, *EXACT)),
    ("omni", "grpo", (*DRAW, *EXACT)),
    ("tiny", "grpoz", DRAW),
    ("omni", "sft", ()),
    ("omni", "dpo", DRAW),
    ("text", "shala", DRAW),
    ("text", "grpo", (*DRAW, "--data.scoring=sequence")),
    ("tiny", "grpo", (*DRAW, "--model.share_prompt=false", "--model.sampling.top_p=0.9")),
    ("text", "sft_verbalised", ()),
    ("text", "sft", ("--policy.adapter.checkpoint_activations=true",)),
    ("text", "sft", ("--trainer.precision=16-mixed",)),
    ("tiny", "sft_kl_only", ()),
)
COMPARED = 4
"""The first cases, all in float32, whose numbers are told beside the CPU's."""
GPU_ONLY = "--trainer.precision=16-mixed"


def run(stage: Stage) -> None:
    inputs = combinations.write_small_inputs(stage.options.out / "small")
    for number, (policy, method, words) in enumerate(CASES):
        if GPU_ONLY in words and not stage.device.is_gpu:
            continue
        what = " ".join((policy, method, *words))
        with stage.facts.attempt(what):
            made = fit_words(stage, policy, method, inputs, name=f"{number}-{policy}-{method}")
            began = time.monotonic()
            done = fit([*made, *words])
            seconds = round(time.monotonic() - began, 1)
            beside: dict[str, Any] = {}
            if number < COMPARED and stage.device.is_gpu:
                on_cpu = [*made, *words, "--trainer.accelerator=cpu", f"--run.name={number}-on-the-cpu"]
                beside = differences(done, fit(on_cpu))
            stage.facts.note(what, "ran", seconds=seconds, **beside)
    with stage.facts.attempt("evaluate"):
        run_folder, out = stage.options.out / "runs/0-tiny-sft", stage.options.out / "evaluated"
        words = ("--limit", "6", "--samples", "1", "2", "--temperature-scaling")
        command("evaluate", ["--run", str(run_folder), "--out", str(out), *words])
        stage.facts.note(f"evaluate {' '.join(words)}", "ran")


def differences(ours: RunFolder, theirs: RunFolder) -> dict[str, Any]:
    """The largest ones of losses and of shares before training, and how many greedy responses are the same."""
    before = list(zip(base_predictions(ours), base_predictions(theirs), strict=True))
    shares = [
        abs(one - other)
        for row, same in before
        for one, other in zip(row["predicted_dist"], same["predicted_dist"], strict=True)
    ]
    both = zip(losses(ours), losses(theirs), strict=True)
    return {
        "difference_of_losses": max(abs(one - other) for one, other in both),
        "difference_of_shares": max(shares),
        "same_responses": f"{sum(row['response'] == same['response'] for row, same in before)}/{len(before)}",
    }
