"""The tables of docs/guides/memory.md: estimates of 7B models, and estimates beside peaks on the pretend accelerator.

    python tests/estimation/memory_page.py [--measure]

writes the page. With `--measure` the second table's runs are made again (five minutes), without it their rows stay.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
sys.path[:0] = [str(REPOSITORY), str(HERE)]

from seven_b import WRITERS  # noqa: E402

from lalm_ambig.config.cli import parse  # noqa: E402
from lalm_ambig.config.estimate_option import Assumptions  # noqa: E402
from lalm_ambig.config.files import config_folder  # noqa: E402
from lalm_ambig.estimation.estimate import GIB, plan_of  # noqa: E402
from lalm_ambig.estimation.fitting import Plan, first_that_fits  # noqa: E402

PAGE = REPOSITORY / "docs/guides/memory.md"
MODELS = {
    "Qwen2-Audio-7B": ("qwen2_audio", "crema_d"),
    "Qwen2.5-Omni-7B": ("qwen2_5_omni", "crema_d"),
    "Qwen2.5-7B (text)": ("causal_lm", "chaosnli"),
}
METHODS = {"SFT": "sft", "DPO": "dpo", "GRPO": "grpo"}
CARDS_GIB = (24, 48, 80)
CLIP_S = 5.0
BEGIN, END = "<!-- {}: written by tests/estimation/memory_page.py -->", "<!-- end -->"


def plan(policy: str, data: str, method: str, folder: Path, *more: str) -> Plan:
    """A run of a 7B model as its files describe it, on clips of five seconds."""
    return plan_and_lines(policy, data, method, folder, *more)[0]


def plan_and_lines(policy: str, data: str, method: str, folder: Path, *more: str) -> tuple[Plan, list[str]]:
    """That run, and the lines that say what was counted."""
    configs = [f"--config={config_folder() / part}.yaml" for part in (f"policy/{policy}", f"data/{data}")]
    words = [*configs, f"--config={config_folder()}/method/{method}.yaml", "--policy.path", str(folder)]
    cli = parse([*words, "--data.corpus.root", str(folder / "none"), "--trainer.accelerator=gpu", *more])
    return plan_of(cli, Assumptions(clip_s=CLIP_S))


def estimates(folder: Path) -> Iterator[str]:
    """Lines of the table *model × method × card*."""
    yield "| model | method | as configured | " + " | ".join(f"{size} GiB" for size in CARDS_GIB) + " |"
    yield "|---|---|---|" + "---|" * len(CARDS_GIB)
    for model, (policy, data) in MODELS.items():
        config = WRITERS[policy](folder / policy)
        for name, method in METHODS.items():
            run = plan(policy, data, method, config)
            cells = [answer(run, size) for size in CARDS_GIB]
            needed = run.estimate(run.chosen).needed / GIB
            yield f"| {model} | {name} | {needed:.1f} GiB | {' | '.join(cells)} |"


def answer(run: Plan, size_gib: int) -> str:
    """Whether the run fits, or the options that it needs."""
    choice = first_that_fits(run, size_gib * GIB)
    if choice is None:
        return "no"
    return f"`{words}`" if (words := run.words(choice)) else "fits"


def measurements(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table of peaks."""
    yield "| step | weights | peak, MiB | estimate, MiB | ratio |"
    yield "|---|---|---|---|---|"
    for row in rows:
        weights, peak, found = (row[name] / 2**20 for name in ("weights", "peak", "estimate"))
        yield f"| {row['case']} | {weights:.0f} | {peak:.0f} | {found:.0f} | {row['estimate'] / row['peak']:.2f} |"


def measured() -> list[dict[str, Any]]:
    """The runs on the pretend accelerator."""
    command = [sys.executable, str(REPOSITORY / "tests/gpu/memory_cases.py")]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def replaced(page: str, name: str, lines: Iterator[str]) -> str:
    """The page with other lines in the part of that name."""
    begin = BEGIN.format(name)
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(END)
    return f"{before}{begin}\n{chr(10).join(lines)}\n{END}{after}"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        page = replaced(page, "estimates", estimates(Path(folder)))
    if "--measure" in sys.argv[1:]:
        page = replaced(page, "peaks", measurements(measured()))
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE.relative_to(REPOSITORY))


if __name__ == "__main__":
    main()
