"""A command inside the test's process: its module is run as `python -m` runs it, without the start of 7 s."""

import io
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

import pytest


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


def ended(module: str, *words: str) -> Ended:
    """The module run as `__main__` with these arguments, up to the exit that ends it."""
    out, err = io.StringIO(), io.StringIO()
    imported = sys.modules.pop(module, None)  # runpy warns of a module that is there already
    with (
        mock.patch.object(sys, "argv", [module, *words]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as left,
    ):
        try:
            runpy.run_module(module, run_name="__main__")
        finally:
            if imported is not None:
                sys.modules[module] = imported
    return Ended(int(left.value.code or 0), out.getvalue(), err.getvalue())
