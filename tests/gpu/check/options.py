"""What the check is told on its command line."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

STAGES = {
    "environment": 60,
    "attention": 60,
    "tiny": 150,
    "decode7b": 130,
    "train7b": 190,
    "resume": 60,
    "features": 60,
    "commands": 60,
    "quantised": 60,
    "omni7b": 100,
    "fsdp2": 50,
    "deepspeed": 60,
}
"""Modules of `check.stages` in the order of what is lost where time runs out, and the seconds that each may take."""


@dataclass(frozen=True)
class Options:
    """What to run, where, and for how long."""

    out: Path
    """Folder for results and logs."""
    device: str = "cuda"
    size: str = "full"
    """`full`: 7B models; `toy`: the same code in narrow models, for a CPU."""
    budget_s: float = 360
    """Of all stages together; later ones are skipped or end early."""
    slower: float = 1.0
    """Every stage's seconds times this, for a slower machine."""
    only: tuple[str, ...] = tuple(STAGES)
    stage: str = ""
    """The one stage that this process runs; empty for the process that starts them."""

    @property
    def on_gpu(self) -> bool:
        return self.device == "cuda"

    @property
    def toy(self) -> bool:
        return self.size == "toy"

    def words(self, stage: str) -> list[str]:
        """The command line of one stage's process."""
        return ["--out", str(self.out), "--device", self.device, "--size", self.size, "--stage", stage]


def parsed(arguments: Sequence[str] | None = None) -> Options:
    """The options of the command line; exits with one line where they make no sense."""
    parser = _parser()
    given = parser.parse_args(arguments)
    only = tuple(given.only.split(","))
    if unknown := [name for name in only if name not in STAGES]:
        parser.error(f"--only: {unknown[0]!r} is none of {', '.join(STAGES)}")
    return Options(
        out=given.out.resolve(),
        device=given.device,
        size=given.size,
        budget_s=given.budget,
        slower=given.slower,
        only=only,
        stage=given.stage,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/gpu/check", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for results and logs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--size", choices=("full", "toy"), default="full")
    parser.add_argument(
        "--budget", type=float, default=360, metavar="S", help="seconds of all stages together"
    )
    parser.add_argument(
        "--slower", type=float, default=1.0, metavar="X", help="each stage's time-out times this"
    )
    parser.add_argument("--only", default=",".join(STAGES), help=f"some of {','.join(STAGES)}")
    parser.add_argument("--stage", choices=STAGES, default="", help=argparse.SUPPRESS)
    return parser
