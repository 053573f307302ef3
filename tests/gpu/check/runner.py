"""Runs the stages, each as a process of its own with a time-out: what one of them breaks, the next does not meet."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from check.device import Device
from check.facts import Facts, line_of, read, write_summary
from check.options import STAGES, Options

FEWEST_S = 20.0
"""Seconds that must be left for a stage to be begun."""
TAIL = 12
"""Lines of a failed stage's log that are shown."""
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Planned:
    """A stage's process."""

    name: str
    words: Sequence[str]
    most_s: float


@dataclass(frozen=True)
class Stage:
    """What a stage is given."""

    options: Options
    facts: Facts
    device: Device


def run_one(options: Options) -> int:
    """This process is one stage."""
    from product.commands import say_version

    say_version(options.out / "installed")
    module = importlib.import_module(f"check.stages.{options.stage}")
    module.run(Stage(options, Facts(options.out, options.stage), Device(options.device)))
    return 0


def run_all(options: Options) -> int:
    """Every stage that was asked for; 1 where anything is not as it should be."""
    planned = [
        Planned(name, [sys.executable, str(HERE), *options.words(name)], most_s * options.slower)
        for name, most_s in STAGES.items()
        if name in options.only
    ]
    return run_stages(planned, options.out, budget_s=options.budget_s)


def run_stages(planned: Sequence[Planned], folder: Path, *, budget_s: float) -> int:
    """The stages one after the other, and a summary; 1 where a fact is not as it should be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.jsonl").unlink(missing_ok=True)
    end = time.monotonic() + budget_s
    for stage in planned:
        left = end - time.monotonic()
        facts = Facts(folder, stage.name)
        if left < FEWEST_S:
            facts.note("skipped", f"{max(left, 0):.0f} s are left")
            continue
        began = time.monotonic()
        how = ended(stage, folder / f"{stage.name}.log", most_s=min(stage.most_s, left))
        facts.note("ended", how, failed=how != "well", seconds=round(time.monotonic() - began, 1))
    write_summary(folder)
    wrong = [row for row in read(folder) if row.get("failed")]
    print(
        "\n".join(["", f"{len(wrong)} facts are not as they should be:", *map(line_of, wrong)])
        if wrong
        else ""
    )
    print(f"every fact: {folder / 'summary.txt'}")
    return 1 if wrong else 0


def ended(stage: Planned, log: Path, *, most_s: float) -> str:
    """How the stage's process ended: `well`, its exit code, or a time-out, after which nothing of it runs on."""
    with log.open("w") as file:
        process = subprocess.Popen(
            list(stage.words), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(timeout=most_s)
        except subprocess.TimeoutExpired:
            return f"time-out after {most_s:.0f} s"
        finally:
            _end_group(process)
    if code:
        print("\n".join(f"    {line[:220]}" for line in log.read_text(errors="replace").splitlines()[-TAIL:]))
    return f"exit code {code}" if code else "well"


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End the stage and the processes that it has started, should any still run."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
