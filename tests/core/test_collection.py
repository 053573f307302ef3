"""A command's imports are not looked through for garbage, and what it makes afterwards is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SAYS = """
import gc, sys
from lalm_ambig.core import errors
def seen():
    print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""
AS_COMMAND = f"import sys; sys.argv[0] = '-m'\n{SAYS}\nseen()\nerrors.run_command(seen)"
AS_LIBRARY = f"{SAYS}\nseen()\nerrors.run_command(seen)"


@pytest.mark.parametrize(
    ("program", "lines"),
    [(AS_COMMAND, ["False False", "True True"]), (AS_LIBRARY, ["True False", "True False"])],
    ids=["command", "library"],
)
def test_only_a_command_holds_collection_back_and_only_until_it_runs(program: str, lines: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines() == lines
