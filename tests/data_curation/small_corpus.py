"""A corpus in CREMA-D's layout, as small as a test wants it, and the command line on it."""

import csv
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import soundfile

from data_curation.__main__ import main
from lalm_ambig.core.errors import run_command
from lalm_ambig.corpora.crema_d.votes import ACTORS, AUDIO_FOLDER, SENTENCES, VOTE_COLUMNS, VOTES_FILE

VOTES = ((6, 0, 0, 0, 4, 0), (0, 3, 0, 0, 5, 2), (0, 0, 0, 10, 0, 0), (1, 1, 2, 0, 0, 6))


def make_corpus(root: Path, items: int) -> Path:
    """So many clips of a quarter of a second, no two alike."""
    (root / VOTES_FILE).parent.mkdir(parents=True)
    (root / AUDIO_FOLDER).mkdir()
    names = (f"{a}_{s}_ANG_{level}" for level, s, a in product(("XX", "LO", "HI"), SENTENCES, ACTORS))
    rng = np.random.default_rng(0)
    with (root / VOTES_FILE).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["", *VOTE_COLUMNS, "fileName"])
        for number, name in enumerate(islice(names, items)):
            table.writerow([f"1{number:05d}", *VOTES[number % len(VOTES)], name])
            samples = rng.normal(0, 0.1, 4000)
            soundfile.write(root / AUDIO_FOLDER / f"{name}.wav", samples, 16_000, subtype="PCM_16")
    return root


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "data_curation", *map(str, arguments)]


def write_arguments(root: Path, out: Path, url: str) -> list[object]:
    return [
        "write",
        "--corpus",
        "crema_d",
        "--root",
        root,
        "--writer",
        "openai",
        "--out",
        out,
        "--base-url",
        url,
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "OPENAI_API_KEY": "sk-test-secret-123456", "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


def run_cli(*arguments: object, timeout_s: float = 60, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        command(*arguments),
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


@dataclass
class Finished:
    """The results of a command."""

    code: int
    out: str
    err: str


def run_main(*arguments: object, **variables: str) -> Finished:
    """The command inside this process: the same path as the command line, without its start-up."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["data_curation", *map(str, arguments)]),
        mock.patch.dict(os.environ, environment() | variables),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        run_command(main)
    return Finished(int(ended.value.code or 0), out.getvalue(), err.getvalue())
