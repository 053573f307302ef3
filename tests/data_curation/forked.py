"""The command in processes of their own, forked from one that has imported it: each start of Python costs a second."""

import multiprocessing
import os
import sys
from multiprocessing.context import ForkServerProcess

from small_corpus import environment

from data_curation.__main__ import main
from lalm_ambig.core.errors import run_command

_FROM = multiprocessing.get_context("forkserver")


def start(*arguments: object) -> ForkServerProcess:
    """Run `python -m data_curation arguments` and discard its output."""
    _FROM.set_forkserver_preload(["forked", "data_curation.write_openai"])
    process = _FROM.Process(target=_run, args=([*map(str, arguments)], environment()))
    process.start()
    return process


def _run(words: list[str], settings: dict[str, str]) -> None:
    os.environ.update(settings)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.argv = ["data_curation", *words]
    run_command(main)
