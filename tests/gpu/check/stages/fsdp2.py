"""Divided weights on one device: NCCL, and the hooks around layers."""

import combinations
from product.commands import fit

from check.runner import Stage
from check.small import fit_words


def run(stage: Stage) -> None:
    inputs = combinations.write_small_inputs(stage.options.out / "small")
    with stage.facts.attempt("fsdp2 on one device"):
        words = fit_words(stage, "text", "grpo", inputs, name="fsdp2")
        fit([*words, "--trainer.strategy=fsdp2", "--model.sampling.max_new_tokens=8"])
        stage.facts.note("fsdp2 on one device", "ran")
