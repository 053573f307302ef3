"""The command: its files, its page, and a user's mistakes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from report_runs import Make, answers

from lalm_ambig.core.errors import InputError
from lalm_ambig.report import main


def test_it_writes_tables_in_three_formats_and_one_page_that_needs_no_other_file(
    make_run: Make, tmp_path: Path
) -> None:
    run, out = make_run("r<1>", 0.7), tmp_path / "out"
    words = ["--table", "all", "a2", "--figure", "entropy", "--name", f"a&b={run}", "--out", str(out)]
    assert main([str(run), *words]) == 0
    assert {"all_crema_d.md", "all_crema_d.tex", "all_crema_d.csv", "a2.md", "entropy_crema_d.svg"} <= {
        path.name for path in out.iterdir()
    }
    page = (out / "report.html").read_text()
    assert "a&amp;b" in page and "r<1>" not in page
    assert 'src="data:image/png;base64,' in page
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources and all(source.startswith("data:") for source in sources)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)
    assert "CREMA-D" in page and "logits readout, generated reasoning" in page
    assert "95% intervals over 8 speakers" in page and "fingerprint" in page


def test_the_figures_can_be_left_away(make_run: Make, tmp_path: Path) -> None:
    assert main([str(make_run("run")), "--figure", "none", "--out", str(tmp_path / "out")]) == 0
    assert not list((tmp_path / "out").glob("*.png"))


WITHOUT = """
import sys
sys.modules.update(matplotlib=None)
from importlib import metadata, util
find, read = util.find_spec, metadata.Distribution.from_name
def absent(name):
    if name == "matplotlib":
        raise metadata.PackageNotFoundError(name)
    return read(name)
metadata.Distribution.from_name = absent
util.find_spec = lambda name, package=None: None if name == "matplotlib" else find(name, package)
from lalm_ambig.core.errors import run_command
from lalm_ambig.report import main
run_command(main)
"""


@pytest.mark.slow
def test_tables_need_no_drawing_library(make_run: Make, tmp_path: Path) -> None:
    def report(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [
            sys.executable,
            "-c",
            WITHOUT,
            str(make_run("run")),
            "--out",
            str(tmp_path / "out"),
            *words,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = report("--table", "all")
    assert done.returncode == 0, done.stderr
    assert "no figures: matplotlib is not installed. Run: " in done.stdout and "[figures]" in done.stdout
    assert (tmp_path / "out/all_crema_d.md").is_file()
    asked = report("--figure", "entropy")
    (line,) = asked.stderr.splitlines()
    assert asked.returncode == 2 and line.startswith("error: --figure: figures need matplotlib")
    assert line.endswith("[figures]'")


def test_a_row_can_be_placed_by_hand(make_run: Make, make_evaluated: Make, tmp_path: Path) -> None:
    peer = make_evaluated("peer", answers("crema_d", 0.4, seed=8))
    words = [
        "--row",
        f"Audio-Reasoner={peer}",
        "--table",
        "a2",
        "--figure",
        "none",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main([str(make_run("run")), *words]) == 0
    line = next(
        line
        for line in (tmp_path / "out/a2.md").read_text().splitlines()
        if "CREMA-D | Audio-Reasoner" in line
    )
    assert "–" in line and "| – |" not in line


def test_the_corpora_are_counted_without_a_run(tmp_path: Path) -> None:
    """As the help's example says."""
    rows = [
        '{"id": "a", "text": "Well.", "votes": {"yes": 2, "no": 1}}\n'.replace("a", f"a{n}", 1)
        for n in range(9)
    ]
    (tmp_path / "items.jsonl").write_text('{"categories": ["yes", "no"]}\n' + "".join(rows), "utf-8")
    words = ["--table", "corpora", "--figure", "none", "--out", str(tmp_path / "out")]
    assert main([*words, "--root", f"jsonl={tmp_path / 'items.jsonl'}"]) == 0
    table = (tmp_path / "out/corpora.md").read_text("utf-8")
    assert "ChaosNLI was not counted" in table and re.search(r"\| 9 \| 0 \| 9 \|", table)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{tmp}"], "is neither a run folder"),
        (["{run}", "--name", "label"], "--name: expected LABEL=PATH, got 'label'"),
        (["{run}", "--row", "x={run}"], "--row: unknown row 'x'"),
        (["{run}", "--table", "b14", "--item", "zzz"], "--item: no item 'zzz'"),
        ([], "no RUN was given"),
        (["--table", "corpora", "a2"], "no RUN was given"),
    ],
)
def test_a_mistake_is_one_readable_line(
    make_run: Make, tmp_path: Path, words: list[str], message: str
) -> None:
    run = make_run("run")
    filled = [word.format(tmp=tmp_path, run=run) for word in words]
    with pytest.raises(InputError, match=message) as error:
        main([*filled, "--figure", "none", "--out", str(tmp_path / "out")])
    assert "\n" not in str(error.value)


def test_predictions_of_other_items_than_the_metrics_are_refused(
    make_run: Make, make_evaluated: Make, tmp_path: Path
) -> None:
    run, other = make_run("run"), make_evaluated("other", answers("crema_d", 0.5, count=20))
    (other / "predictions.jsonl").replace(run / "evaluation/trained/predictions.jsonl")
    with pytest.raises(InputError, match=r"predictions and metrics are of different items"):
        main([str(run), "--figure", "entropy", "--out", str(tmp_path / "out")])
    assert not list(tmp_path.glob("out/*"))


def test_an_out_that_is_a_file_is_refused(make_run: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out: cannot write to"):
        main([str(make_run("run")), "--out", str(tmp_path / "file")])
