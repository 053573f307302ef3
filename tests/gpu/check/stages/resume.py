"""A run that is stopped before its second step goes on on the device; with two updates a batch, too."""

import combinations
from product.commands import Stopped, fit, stopped_before_step

from check.runner import Stage
from check.small import fit_words

DRAW = "--model.sampling.max_new_tokens=8"
CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "sft": ("sft", ()),
    "grpo": ("grpo", (DRAW,)),
    "grpo, two updates": ("grpo", (DRAW, "--model.grouping.updates=2")),
    "dpo, reference start": ("dpo", (DRAW, "--model.reference=start")),
}


def run(stage: Stage) -> None:
    inputs = combinations.write_small_inputs(stage.options.out / "small")
    for label, (method, settings) in CASES.items():
        with stage.facts.attempt(f"resume {label}"):
            name = f"resume-{label.replace(', ', '-').replace(' ', '_')}"
            words = [*fit_words(stage, "tiny", method, inputs, name=name), *settings]
            with stopped_before_step(1):
                try:
                    fit(words)
                except Stopped:
                    stage.facts.note(f"resume {label}", "stopped before step 1")
            fit(words)
            stage.facts.note(f"resume {label}", "went on")
