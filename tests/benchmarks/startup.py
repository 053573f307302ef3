"""Start-up of `fit` on a corpus of 100,000 clips: seconds from the command to the first training step.

    python tests/benchmarks/startup.py [--items 100000] [--folder DIR] [--tower]

It writes a JSON Lines corpus of real sound files (hard links to the demo's clips) with rationales, 100 items each for
validation and test, and starts SFT of the tiny model on it three times, each in a process of its own: first, with
everything cached in a new run, and again, going on with that run. `--tower` trains the audio tower as well, so that no
features are cached. It prints a Markdown table: seconds between marks, their sum, and seconds of processor time, which
other programs on the machine change less.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import last_line_of

CLIPS_PER_FOLDER = 1000
HELD_OUT = 100
STARTS = {"first": "run_1", "all cached, new run": "run_2", "goes on": "run_2"}
MARKS = ("imports", "configuration", "corpus", "items", "weights", "features", "base evaluated", "first step")


def write_listing(folder: Path, items: int) -> Path:
    """A JSON Lines corpus of that many sound files under `folder`, or the one that is there."""
    from lalm_ambig.corpora.demo.corpus import Demo

    file = folder / f"items-{items}.jsonl"
    if file.is_file():
        return file
    demo = list(Demo(folder / "demo").read())
    names = Demo(folder / "demo").categories.names
    with file.open("w", encoding="utf-8") as lines:
        lines.write(json.dumps({"categories": names}) + "\n")
        for n in range(items):
            source = demo[n % len(demo)]
            audio = folder / f"clips/{n // CLIPS_PER_FOLDER}/{n}.wav"
            if not audio.exists():
                audio.parent.mkdir(parents=True, exist_ok=True)
                os.link(str(source.audio), audio)
            held = n - (items - 2 * HELD_OUT)
            row = {
                "id": f"clip{n}",
                "audio": str(audio.relative_to(folder)),
                "text": source.text,
                "votes": dict(zip(names, source.votes, strict=True)),
                "rationale": source.rationale,
                "speaker": f"s{n % 500}",
                "split": "train" if held < 0 else "validation" if held < HELD_OUT else "test",
            }
            lines.write(json.dumps(row) + "\n")
    return file


def settings(corpus: Path, run: str, *, tower: bool = False, method: str = "sft") -> list[str]:
    """The command line of `fit`."""
    configs = Path(__file__).resolve().parents[2] / "configs"
    files = [f"--config={configs / name}.yaml" for name in ("policy/tiny", "data/jsonl", f"method/{method}")]
    values = {
        "data.corpus.root": corpus,
        "policy.adapter.audio_tower": str(tower).lower(),
        "model.generation.max_new_tokens": 4,
        "trainer.accelerator": "cpu",
        "trainer.enable_progress_bar": "false",
        "run.root": corpus.parent / "runs",
        "run.name": run,
    }
    return [*files, *(f"--{name}={value}" for name, value in values.items())]


class Reached(Exception):
    """The first training step has begun."""


def one(options: Any) -> None:
    """One start in this process; the last line is JSON: seconds to each mark since the process began."""
    begin = time.time() - options.began if options.began else 0.0
    clock = time.perf_counter() - begin
    marks: dict[str, float] = {}

    def marked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            found = function(*args, **kwargs)
            marks.setdefault(name, time.perf_counter() - clock)
            return found

        return timed

    from rich.console import Console

    from lalm_ambig import fit
    from lalm_ambig.data.datamodule import DataModule
    from lalm_ambig.methods.sft import SFT
    from lalm_ambig.policies.base import Policy
    from lalm_ambig.runs import session
    from lalm_ambig.runs.training import Training

    marks["imports"] = time.perf_counter() - clock

    def first_step(*_: Any) -> None:
        marks["first step"] = time.perf_counter() - clock
        marks["CPU"] = time.process_time()
        raise Reached

    places: tuple[tuple[Any, str, str], ...] = (
        (fit, "parse", "configuration"),
        (DataModule, "setup", "corpus"),
        (Policy, "load", "weights"),
        (session, "prompt_notes", "items"),
        (session, "cached_features", "features"),
        (Training, "base", "base evaluated"),
    )
    for place, attribute, name in places:
        setattr(place, attribute, marked(name, getattr(place, attribute)))
    SFT.training_step = first_step  # type: ignore[method-assign, assignment]
    corpus = write_listing(options.folder, options.items)
    try:
        fit.train(settings(corpus, options.one, tower=options.tower), Console(quiet=True))
    except Reached:
        print(json.dumps(marks))


def measured(options: Any, run: str) -> dict[str, float]:
    """Seconds to each mark of a start in a process of its own."""
    command = [sys.executable, __file__, "--one", run, "--items", str(options.items)]
    command += ["--folder", str(options.folder), "--began", str(time.time()), *["--tower"] * options.tower]
    return last_line_of(command)


def row(marks: dict[str, float]) -> list[str]:
    """Seconds between one mark and the next, and in total."""
    before, cells = 0.0, []
    for name in MARKS:
        cells.append(f"{marks[name] - before:.1f}" if name in marks else "–")
        before = marks.get(name, before)
    return [*cells, f"{marks['first step']:.1f}", f"{marks['CPU']:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where the corpus is kept; by default a temporary one")
    parser.add_argument("--tower", action="store_true", help="train the audio tower: no cached features")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options)
        return
    with tempfile.TemporaryDirectory() as name:
        options.folder = (options.folder or Path(name)).resolve()
        options.folder.mkdir(parents=True, exist_ok=True)
        os.environ["XDG_CACHE_HOME"] = str(options.folder / "cache")
        write_listing(options.folder, options.items)
        print(f"| start ({options.items:,} items) | {' | '.join(MARKS)} | sum | CPU |")
        print("|---" * (len(MARKS) + 3) + "|")
        for start, run in STARTS.items():
            print(f"| {start} | {' | '.join(row(measured(options, run)))} |", flush=True)


if __name__ == "__main__":
    main()
