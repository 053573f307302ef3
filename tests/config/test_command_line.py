"""A mistake on the command line of any command is one line with exit status 2, and never the usage."""

import importlib
import io
import sys
from contextlib import redirect_stderr
from unittest import mock

import pytest

from lalm_ambig.config.command_line import CommandParser
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.help.names import closest

MISTAKES = {
    "lalm_ambig.predict": [
        ("a.wav --policy x --batch-size two", "--batch-size: expected a whole number, got 'two'"),
        ("a.wav", "missing: --run DIR or --config YAML or --policy NAME"),
        ("--polcy x", "unknown option --polcy: did you mean --policy?"),
        ("a.wav --policy x --run y", "--run: not allowed with --policy"),
    ],
    "lalm_ambig.evaluate": [
        ("--run x", "missing: --out DIR"),
        ("--run x --out y --samples two", "--samples: expected a whole number, got 'two'"),
        ("--run x --out y --split dev", "--split: expected one of train, validation, test … got 'dev'"),
        ("--run x --out y --split tests", "got 'tests': did you mean test?"),
        ("--run x --out y --batchsize 3", "unknown option --batchsize: did you mean --batch-size?"),
        ("--run x --out y --batch_size=3", "unknown option --batch_size=3: did you mean --batch-size?"),
    ],
    "lalm_ambig.export": [
        ("", "missing: RUN"),
        ("x --adapter --merged --out y", "--merged: not allowed with --adapter"),
        ("x --adapter --out", "--out: expected one argument"),
    ],
    "lalm_ambig.report": [
        ("x", "missing: --out DIR"),
        (
            "x --out y --table corporas",
            "--table: expected one of a2, … got 'corporas': did you mean corpora?",
        ),
    ],
    "lalm_ambig.compare": [
        ("a", "missing: SECOND"),
        ("a b c", "one argument too many: c"),
        ("a b --metrics x", "unknown option --metrics: did you mean --metric?"),
    ],
    "lalm_ambig.study": [
        ("", "missing: FILE"),
        ("a b", "one argument too many: b"),
        ("a --seeds one", "--seeds: expected a whole number, got 'one'"),
        ("a --table_only", "unknown option --table_only: did you mean --table-only?"),
    ],
    "lalm_ambig.describe": [
        ("", "missing: --corpus"),
        ("--corpus demo --seed x", "--seed: expected a whole number, got 'x'"),
    ],
    "lalm_ambig.baseline": [
        ("", "missing: NAME, --out DIR"),
        ("priors --out x", "expected one of … got 'priors': did you mean prior?"),
    ],
    "data_curation.__main__": [
        ("", "missing: write|validate|stats|review"),
        ("wrte", "expected one of write, validate, stats, review, got 'wrte': did you mean write?"),
        ("write --writer acoustic", "data_curation write: missing: --out FILE, --corpus NAME"),
        (
            "write --writer acoustic --corpus demo --out x --limits 3",
            "unknown option --limits: did you mean --limit?",
        ),
        ("stats a b", "one argument too many: b"),
        ("write --writer acoustic --corpus demo --out x --max-cost-usd 3$", "expected a number, got '3$'"),
    ],
}
"""What is typed, and what is said about it."""


@pytest.mark.parametrize("module", MISTAKES)
def test_a_mistake_is_one_line_and_no_usage(module: str) -> None:
    command = importlib.import_module(module)
    for words, expected in MISTAKES[module]:
        err = io.StringIO()
        with (
            mock.patch.object(sys, "argv", [module, *words.split()]),
            redirect_stderr(err),
            pytest.raises(SystemExit) as left,
        ):
            run_command(command.main)
        assert left.value.code == 2, words
        (line,) = err.getvalue().splitlines()
        assert line.startswith("error: ") and line.endswith("(--help lists every option)"), line
        assert "python -m" not in line and "usage" not in line
        assert all(part in line for part in expected.split(" … ")), line


def test_abbreviations_and_help_stay_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    parser = CommandParser(prog="python -m lalm_ambig.some")
    parser.add_argument("--samples", type=int, required=True)
    assert parser.parse_args(["--sam", "3"]).samples == 3
    with pytest.raises(SystemExit) as left:
        parser.parse_args(["--help"])
    assert left.value.code == 0 and "--samples" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"some: missing: --samples"):
        parser.parse_args(["--", "--samples"])


@pytest.mark.parametrize(
    ("given", "names", "expected"),
    [
        ("--batch_size", ["--batch-size", "--out"], "--batch-size"),
        ("--Out", ["--batch-size", "--out"], "--out"),
        ("--zzz", ["--batch-size", "--out"], None),
        ("optimizer", ["optimiser", "order"], "optimiser"),
        ("", ["a"], None),
    ],
)
def test_the_closest_name(given: str, names: list[str], expected: str | None) -> None:
    assert closest(given, names) == expected
