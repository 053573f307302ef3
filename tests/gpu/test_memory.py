"""The estimate of `--estimate` against the peak of the pretend accelerator's memory, on nine kinds of step."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pretend.build import cannot_build

HERE = Path(__file__).parent
REASON = cannot_build()
pytestmark = [
    pytest.mark.long,  # make pretend-gpu runs it
    pytest.mark.skipif(REASON is not None, reason=f"the pretend accelerator cannot be compiled: {REASON}"),
]
CLOSE = 0.1
"""Largest difference, of the peak."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What `memory_cases.py` prints."""
    home = tmp_path_factory.mktemp("cache")
    found = subprocess.run(
        [sys.executable, str(HERE / "memory_cases.py")],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(home), "OMP_NUM_THREADS": "1"},
    )
    return [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]


def test_the_estimate_is_within_a_tenth_of_the_peak_in_nine_kinds_of_step(
    rows: list[dict[str, Any]],
) -> None:
    """Activations are much of each peak, and nothing is on the CPU."""
    assert len(rows) == 9
    ratios = {row["case"]: row["estimate"] / row["peak"] for row in rows}
    assert {case: ratio for case, ratio in ratios.items() if abs(ratio - 1) > CLOSE} == {}
    for row in rows:
        held = row["held"]["before"]
        assert row["peak"] - held > 0.33 * row["peak"], row["case"]
        assert row["refusals"] == 0
