"""Clips per second of `predict` and `evaluate` with a trained run, and what a command takes before its first clip.

    python tests/benchmarks/clips.py RUN --sound DIR [--few 20] [--many 120] [--precision bf16-mixed] [--threads 2]

Each command runs twice as a program, on few and on many test clips of the run's corpus: the difference of both is the
clips' own time, the rest is start-up. `predict` hears every clip anew. `evaluate` does so in its first reading, and the
second one has the encoder's features, unless the run trains its encoder. It prints a Markdown table.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

Seconds = tuple[float, float]
"""Wall and processor seconds."""


def run(command: list[str], environment: dict[str, str]) -> Seconds:
    """Seconds of a program."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", *command], check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, sum(after[:2]) - sum(before[:2])


def heard(folder: Path, root: Path) -> list[str]:
    """Sound files of the items that an evaluation answered."""
    lines = (folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    names = [row["id"] for row in map(json.loads, lines) if "id" in row]
    return [str(path) for name in names for path in sorted(root.rglob(f"{name}.wav"))[:1]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--sound", type=Path, required=True)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--many", type=int, default=120)
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    counts = {options.few: "few", options.many: "many"}
    shared = ["--run", str(options.run), "--precision", options.precision]
    found: dict[str, list[Seconds]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(options.threads),
            "XDG_CACHE_HOME": f"{name}/cache",
        }
        for reading in ("evaluate, first", "evaluate, features kept"):
            for count, size in counts.items():
                environment["XDG_CACHE_HOME"] = f"{name}/cache-{size}"
                out = folder / f"{reading[-5:]}-{size}"
                words = ["lalm_ambig.evaluate", *shared]
                took = run([*words, "--limit", str(count), "--out", str(out)], environment)
                found.setdefault(reading, []).append(took)
        clips = heard(folder / "first-many", options.sound)
        for count in counts:
            command = ["lalm_ambig.predict", *clips[:count], *shared, "--out", f"{name}/{count}.jsonl"]
            found.setdefault("predict", []).append(run(command, environment))
    print(f"{options.precision}, {options.threads} threads, {options.few} and {len(clips)} clips\n")
    print("| command | clips/s | CPU s a clip | start-up, s |\n|---|---|---|---|")
    for what, ((few_wall, few_cpu), (many_wall, many_cpu)) in found.items():
        more = len(clips) - options.few
        wall, cpu = (many_wall - few_wall) / more, (many_cpu - few_cpu) / more
        print(f"| {what} | {1 / wall:.1f} | {cpu:.3f} | {few_wall - options.few * wall:.1f} |")


if __name__ == "__main__":
    main()
