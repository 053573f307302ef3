"""The GPU check: `python tests/gpu/check --out DIR` (see tests/gpu/README.md)."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parents[1]
# The folder stands in front when Python is given it to run, and its modules would be found without their room.
sys.path[:] = [place for place in sys.path if Path(place).resolve() != HERE]
sys.path[:0] = [str(place) for place in (TESTS.parent, HERE.parent, TESTS / "policies")]

from check.options import parsed  # noqa: E402
from check.runner import run_all, run_one  # noqa: E402

if __name__ == "__main__":
    options = parsed()
    raise SystemExit(run_one(options) if options.stage else run_all(options))
