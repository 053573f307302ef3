"""The other commands on the device: baselines, evaluation and an answer, each from one small run."""

import combinations
from product.commands import command, first_demo_clip, fit

from check.runner import Stage
from check.small import fit_words


def run(stage: Stage) -> None:
    inputs = combinations.write_small_inputs(stage.options.out / "small")
    facts, out = stage.facts, stage.options.out / "commands"
    run_folder = ""
    with facts.attempt("a run to read"):
        made = fit(fit_words(stage, "tiny", "grpo", inputs, name="to-read"))
        run_folder = str(made.path)
    clip = first_demo_clip()
    limit = ("--limit", "6")
    calls: dict[str, tuple[str, ...]] = {
        "evaluate": ("--run", run_folder, "--out", str(out / "evaluate"), *limit, "--temperature-scaling"),
        "baseline": ("probe", "--run", run_folder, "--out", str(out / "probe"), *limit),
        "doctor": (),
        "export": (run_folder, "--merged", "--out", str(out / "merged")),
        "predict": (str(clip), "--run", run_folder, "--json"),
    }
    for name, words in calls.items():
        with facts.attempt(name):
            code = command(name, list(words))
            facts.note(name, "ran" if code == 0 else f"exit code {code}", failed=code != 0)
