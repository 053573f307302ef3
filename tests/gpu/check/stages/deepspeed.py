"""DeepSpeed on one device, where it can be imported: ZeRO-2, and ZeRO-3 with weights gathered to sample."""

import importlib

import combinations
from product.commands import fit

from check.runner import Stage
from check.small import fit_words

CASES = {
    "deepspeed_stage_2, full": ("sft", ("--policy.adapter.method=full", "--policy.dtype=float32")),
    "deepspeed_stage_3": ("grpo", ("--model.sampling.max_new_tokens=8",)),
}


def run(stage: Stage) -> None:
    try:
        importlib.import_module("deepspeed")
    except Exception as error:  # it looks for a compiler as it is imported
        stage.facts.note("deepspeed", f"cannot be imported: {str(error)[:200]}")
        return
    if not stage.device.is_gpu:
        stage.facts.note("deepspeed", "can be imported; it is for GPUs")
        return
    inputs = combinations.write_small_inputs(stage.options.out / "small")
    for label, (method, settings) in CASES.items():
        with stage.facts.attempt(label):
            strategy = label.partition(",")[0]
            words = fit_words(stage, "text", method, inputs, name=label.replace(", ", "-"))
            fit([*words, *settings, f"--trainer.strategy={strategy}", "--trainer.precision=bf16-mixed"])
            stage.facts.note(label, "ran")
