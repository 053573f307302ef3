"""Steps of SFT, GRPO and DPO with Qwen2-Audio at 7B in bf16-mixed, with and without layers computed again."""

from check.runner import Stage
from check.steps import run_steps

COMPUTED_AGAIN = "--policy.adapter.checkpoint_activations=true"
ONE, TWO = "--data.batch_size=1", "--data.batch_size=2"


def run(stage: Stage) -> None:
    draw = f"--model.sampling.max_new_tokens={8 if stage.options.toy else 256}"
    run_steps(stage, "qwen2_audio", "sft", [ONE, COMPUTED_AGAIN], steps=3)
    run_steps(stage, "qwen2_audio", "sft", [TWO], steps=3)
    run_steps(stage, "qwen2_audio", "grpo", [ONE, draw], steps=2)
    run_steps(stage, "qwen2_audio", "grpo", [TWO, COMPUTED_AGAIN, draw], steps=2)
    run_steps(stage, "qwen2_audio", "dpo", [TWO, draw], steps=2)
