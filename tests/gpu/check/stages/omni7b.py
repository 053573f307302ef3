"""Steps of SFT and GRPO with the thinker of Qwen2.5-Omni at 7B."""

from check.runner import Stage
from check.steps import run_steps

TWO = "--data.batch_size=2"


def run(stage: Stage) -> None:
    draw = f"--model.sampling.max_new_tokens={8 if stage.options.toy else 128}"
    run_steps(stage, "omni", "sft", [TWO], steps=2)
    again = "--policy.adapter.checkpoint_activations=true"
    run_steps(stage, "omni", "grpo", [TWO, again, draw], steps=1)
