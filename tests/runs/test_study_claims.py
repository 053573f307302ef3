"""Runs of a study that several processes share: one has a run at a time, and a process that ends has none."""

import subprocess
import sys
from pathlib import Path

from lalm_ambig.runs.study.claims import claimed

HOLD = """
import sys, time
from pathlib import Path
from lalm_ambig.runs.study.claims import claimed
with claimed(Path(sys.argv[1]), "a-s0") as ours:
    print(ours, flush=True)
    time.sleep(600)
"""


def test_a_run_has_one_process_until_that_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None and other.stdout.readline() == "True\n"
            with claimed(tmp_path, "a-s0") as ours, claimed(tmp_path, "a-s1") as another:
                assert (ours, another) == (False, True)
        finally:
            other.kill()
    with claimed(tmp_path, "a-s0") as ours:
        assert ours
        with claimed(tmp_path, "a-s0") as again:
            assert not again
    with claimed(tmp_path, "a-s0") as ours:
        assert ours
