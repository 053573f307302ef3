"""`study` as its users run it: rows and seeds, stopped and gone on with, a table that has the runs' own numbers."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lalm_ambig import compare, study
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.demo.writer import DemoSettings, write_demo
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.seeds import mean_and_sd
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.runs.evaluation import score_and_save
from lalm_ambig.runs.study.claims import claimed

FILE = """
title: A small study
reference: heard
seeds: [0, 1]
set:
  trainer.enable_progress_bar: false
  trainer.accelerator: cpu
  trainer.max_epochs: 1
  model.optimiser.learning_rate: 0.005
  data.limit: 12
  data.batch_size: 4
  data.items_per_update: 4
  data.eval_batch_size: 12
  model.generation.max_new_tokens: 4
  model.generation.validation_items: 4
  run.checkpoint_steps: 1
  run.probe: false
rows:
  heard: {label: Heard, config: preset/demo.yaml}
  reasons: {label: Reasons, config: preset/demo_reasoning.yaml, start: heard}
  reasons_2: {label: Averaged, of: reasons, samples: 2}
"""
ELSEWHERE = """
rows:
  heard: {label: Heard, config: preset/demo.yaml, table: false}
  reasons: {label: Reasons, config: preset/demo_reasoning.yaml, start: heard, table: false}
  heard_there: {label: Heard, of: heard, evaluate: [--corpus, demo, --root, "{root}/../other"]}
  reasons_there: {label: Reasons, of: reasons, evaluate: [--corpus, demo, --root, "{root}/../other"]}
"""
"""The same runs, tested on other voices."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, demo_root: Path, cache_home: Path) -> Path:
    """A study of three rows with its finished root, which no test may change."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.yaml").write_text(FILE)
    process = subprocess.Popen(
        [*command(folder), "--", f"--data.corpus.root={demo_root}"],
        env=environment(cache_home),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    first = folder / "runs/reasons-s0"
    while not list(first.glob("checkpoints/step-*.ckpt")):  # in the middle of its second run
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    process.terminate()
    text, _ = process.communicate()
    assert process.returncode == 143 and "he same command goes on" in text, text
    assert not (first / "results.md").is_file() and (folder / "runs/heard-s0/results.md").is_file()
    return folder


def command(folder: Path) -> list[str]:
    words = [str(folder / "small.yaml"), "--root", str(folder / "runs"), "--out", str(folder / "kept")]
    return [sys.executable, "-m", "lalm_ambig.study", *words]


def environment(cache_home: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "100", "XDG_CACHE_HOME": str(cache_home)}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_goes_on_and_the_table_has_the_numbers_of_the_runs(
    small: Path,
    demo_root: Path,
    cache_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("COLUMNS", "100")
    runs = small / "runs"
    before = (runs / "heard-s0/results.md").stat().st_mtime_ns
    words = [*command(small)[3:], "--", f"--data.corpus.root={demo_root}"]
    assert study.main(words) == 0
    text = capsys.readouterr().out
    assert f"run folder: {runs / 'reasons-s0'} (goes on)" in text.replace("\n", "")
    assert (runs / "heard-s0/results.md").stat().st_mtime_ns == before
    starts = [
        read_yaml(runs / f"reasons-s{seed}/config.yaml")["model"]["init_args"]["start"] for seed in (0, 1)
    ]
    assert starts == [str(runs / f"heard-s{seed}") for seed in (0, 1)]
    check_numbers(runs)
    check_differences(runs, tmp_path)
    check_splits(runs)
    check_elsewhere(small, demo_root)
    moved = shutil.move(runs, small / "elsewhere")
    try:
        kept_alone(small, tmp_path)
        kept_without_votes(small, tmp_path, demo_root)
    finally:
        shutil.move(moved, runs)


def check_numbers(runs: Path) -> None:
    content = json.loads((runs / "small.json").read_text())
    folders = {"heard": "{}/evaluation/trained", "reasons": "{}/evaluation/trained", "reasons_2": "{}"}
    assert [row["name"] for row in content["rows"]] == list(folders)
    for row in content["rows"]:
        assert row["seeds"] == [0, 1]
        for metric, found in row["metrics"].items():
            files = [
                runs / folders[row["name"]].format(f"{row['name']}-s{seed}") / "metrics.json"
                for seed in (0, 1)
            ]
            values = [read_results(file).metrics[metric].value for file in files]
            assert found["by_seed"] == values and (found["mean"], found["sd"]) == mean_and_sd(values)
            assert read_results(files[0]).items == 12
    heard, reasons, averaged = content["rows"]
    assert [effort["updates"] for effort in heard["training"]] == [3, 3]
    assert [effort["updates"] for effort in reasons["training_with_starts"]] == [6, 6]
    assert averaged["training_with_starts"] == reasons["training_with_starts"]
    assert heard["metrics"]["js_div_bits"]["sd"] > 0  # seeds that really differ
    chosen = json.loads((runs / "heard-s1/selection.json").read_text())["chosen"]["metrics"]
    assert heard["validation"]["js_div_bits"]["by_seed"][1] == chosen["js_div_bits"]


def check_differences(runs: Path, folder: Path) -> None:
    """A seed's difference, as `compare` says; over two seeds, their mean."""
    content = json.loads((runs / "small.json").read_text())
    values = []
    for seed in (0, 1):
        pair = [str(runs / f"{name}-s{seed}") for name in ("reasons", "heard")]
        assert compare.main([*pair, "--out", str(folder / "c.json")]) == 0
        values.append(
            json.loads((folder / "c.json").read_text())["metrics"]["js_div_bits"]["difference"]["value"]
        )
    found = content["rows"][1]["difference"]
    assert found["value"] == pytest.approx(sum(values) / 2, abs=2e-4)
    assert found["low"] < found["value"] < found["high"] and found["seeds"] == [0, 1]


def check_splits(runs: Path) -> None:
    """Seeds change the order, and never the split."""
    ids = [
        [
            json.loads(line)["id"]
            for line in (runs / f"heard-s{seed}/evaluation/trained/predictions.jsonl").open()
        ]
        for seed in (0, 1)
    ]
    assert ids[0] == ids[1]
    records = [(runs / f"heard-s{seed}/trained_items.jsonl").read_text().splitlines()[1:] for seed in (0, 1)]
    assert records[0] == records[1]


def check_elsewhere(small: Path, demo_root: Path) -> None:
    """A second study finds the runs of the first, and tests them on another corpus."""
    write_demo(small / "other", DemoSettings(actors=10, clips_per_actor=6, seed=9))
    text = FILE.replace("reference: heard", "reference: heard_there").partition("rows:")[0] + ELSEWHERE
    (small / "elsewhere.yaml").write_text(text)
    before = (small / "runs/reasons-s1/results.md").stat().st_mtime_ns
    words = ["--root", str(small / "runs"), "--", f"--data.corpus.root={demo_root}"]
    assert study.main([str(small / "elsewhere.yaml"), *words]) == 0
    assert (small / "runs/reasons-s1/results.md").stat().st_mtime_ns == before
    content, own = (json.loads((small / f"runs/{name}.json").read_text()) for name in ("elsewhere", "small"))
    assert [row["name"] for row in content["rows"]] == ["heard_there", "reasons_there"]
    assert content["items"] == own["items"] == 12 and content["items_digest"] != own["items_digest"]
    assert content["rows"][1]["difference"]["seeds"] == [0, 1]
    assert own["references"]["prior"] != content["references"]["prior"]
    table = (small / "runs/small.md").read_text()
    assert "val. JS (base 2) ↓ |" in table and "It compares checkpoints of a row, not rows." in table
    assert "val. JS" not in (small / "runs/elsewhere.md").read_text()


def kept_alone(small: Path, folder: Path) -> None:
    """The kept files make the same tables, byte by byte, where the runs are gone."""
    words = ["--root", str(small / "kept"), "--table-only", "--out", str(folder / "again")]
    assert study.main([str(small / "small.yaml"), *words]) == 0
    for path in (small / "kept").iterdir():
        assert path.read_bytes() == (folder / "again" / path.name).read_bytes(), path
    with pytest.raises(InputError, match="no finished run of study small in"):
        study.main([str(small / "small.yaml"), "--root", str(small / "runs"), "--table-only"])


def kept_without_votes(small: Path, folder: Path, demo_root: Path) -> None:
    """Where the votes were not kept, the corpus has them: the same tables, byte by byte."""
    bare = folder / "bare"
    kept = [str(small / "small.yaml"), "--root", str(small / "kept"), "--table-only", "--out", str(bare)]
    assert study.main([*kept, "--without-votes"]) == 0
    assert not (bare / "items.jsonl.gz").exists()
    with pytest.raises(InputError, match="--without-votes is about the files of --out: Give"):
        study.main([*kept[:4], "--without-votes"])
    words = [str(small / "small.yaml"), "--root", str(bare), "--table-only"]
    with pytest.raises(InputError, match=r"votes .* are not kept here, .* --data\.corpus\.root after --"):
        study.main([*words, "--", f"--data.corpus.root={small / 'small.yaml'}"])
    made_again = folder / "with_corpus"
    assert study.main([*words, "--out", str(made_again), "--", f"--data.corpus.root={demo_root}"]) == 0
    for path in (small / "kept").iterdir():
        assert path.read_bytes() == (made_again / path.name).read_bytes(), path


def write(folder: Path, text: str) -> str:
    (folder / "mine.yaml").write_text(text)
    return str(folder / "mine.yaml")


def test_a_mistake_in_a_late_row_is_found_before_the_first_run(tmp_path: Path) -> None:
    text = FILE.replace("start: heard", "start: heard, set: {trainer.max_epoch: 1}")
    with pytest.raises(InputError, match="max_epoch"):
        study.main([write(tmp_path, text), "--root", str(tmp_path / "runs")])
    devices = FILE.replace("start: heard", "start: heard, set: {trainer.devices: 2}")
    with pytest.raises(
        InputError, match=r"study: row reasons asks for several devices: .* a process per device"
    ):
        study.main([write(tmp_path, devices), "--root", str(tmp_path / "runs")])
    with pytest.raises(InputError, match="study: --seed is not for every run"):
        study.main([write(tmp_path, FILE), "--root", str(tmp_path / "runs"), "--", "--seed=3"])
    nonsense = FILE.replace("samples: 2", "evaluate: [--nosuch]")
    with pytest.raises(InputError, match=r"study: row reasons_2: .*--nosuch"):
        study.main([write(tmp_path, nonsense), "--root", str(tmp_path / "runs")])
    assert not (tmp_path / "runs").exists()


def test_answers_to_another_question_are_found_before_the_first_run(tmp_path: Path) -> None:
    about = About("demo", "test", "logits", "generated", "tiny", samples=4)
    votes = (1.0, 2.0)
    rows = [Prediction(f"i{n}", "test", None, votes, (1 / 3, 2 / 3), (0.5, 0.5)) for n in range(12)]
    folder = tmp_path / "runs/reasons_2-s0"
    score_and_save(folder, rows, CategorySet(("anger", "neutral")), about=about)
    with pytest.raises(InputError, match=r"reasons_2-s0 answers .*'samples': 4.* asks for .*'samples': 2"):
        study.main([write(tmp_path, FILE), "--root", str(tmp_path / "runs")])
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["reasons_2-s0"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--table-only", "--seeds", "0"], "--seeds and --rows say what is trained, and --table-only trains"),
        (["--table-only", "--rows", "heard"], "--seeds and --rows say what is trained"),
        (["--seeds", "-1"], "--seeds are whole numbers from 0, got -1"),
        (["--without-votes"], "--without-votes is about the files of --out"),
        (["--without-votes", "--out", "{root}"], "--out is --root, whose votes --without-votes would remove"),
        (["--without-votes", "--out", "{root}/../runs"], "--out is --root, whose votes"),
        (["--", "--run", "{{name: x}}"], "--run is not for every run of a study"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    tmp_path: Path, words: list[str], expected: str
) -> None:
    root = str(tmp_path / "runs")
    filled = [word.format(root=root) for word in words]
    with pytest.raises(InputError, match=expected) as error:
        study.main([write(tmp_path, FILE), "--root", root, *filled])
    assert "\n" not in str(error.value) and not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_folder_with_another_configuration_is_refused(
    small: Path, demo_root: Path, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    more = ["--rows", "heard", "--", f"--data.corpus.root={demo_root}", "--trainer.max_epochs=2"]
    with pytest.raises(
        InputError, match=r"--root: .*heard-s0 holds a run with another configuration .* Give another"
    ):
        study.main([str(small / "small.yaml"), "--root", str(small / "runs"), *more])


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_fails_leaves_out_what_needs_it_and_no_more(
    tmp_path: Path, demo_root: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    broken = FILE.replace("seeds: [0, 1]", "seeds: [0]").replace(
        "  reasons:", "  late: {label: Late, config: preset/demo.yaml}\n  reasons:"
    )
    made: list[str] = []

    def train(words: list[str], _: object) -> None:
        name = next(word for word in words if word.startswith("--run.name=")).partition("=")[2]
        made.append(name)
        if name == "heard-s0":
            raise InputError("it is broken")

    monkeypatch.setattr(study.fit, "train", train)
    words = [
        write(tmp_path, broken),
        "--root",
        str(tmp_path / "runs"),
        "--",
        f"--data.corpus.root={demo_root}",
    ]
    with pytest.raises(
        InputError, match=r"study: 3 of 4 runs failed: heard-s0 \(it is broken\); reasons-s0 \(heard-s0"
    ):
        study.main(words)
    assert made == ["heard-s0", "late-s0"]


@pytest.mark.slow
def test_what_another_process_makes_is_left_to_it_until_it_is_done(
    tmp_path: Path, demo_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[str] = []
    root = tmp_path / "runs"

    def train(words: list[str], _: object) -> None:
        made.append(next(word for word in words if word.startswith("--run.name=")).partition("=")[2])

    monkeypatch.setattr(study.fit, "train", train)
    monkeypatch.setattr(study.evaluate, "main", lambda words: made.append(words[1].rpartition("/")[2]))
    monkeypatch.setattr(study, "_report", lambda *_, **__: None)
    monkeypatch.setattr(study, "read_yaml", lambda _: {"data": {"limit": 12}})
    holding = claimed(root, "heard-s0")
    assert holding.__enter__()
    monkeypatch.setattr(study.time, "sleep", lambda _: holding.__exit__(None, None, None))
    words = [write(tmp_path, FILE), "--root", str(root), "--", f"--data.corpus.root={demo_root}"]
    assert study.main(words) == 0
    assert made == ["heard-s1", "reasons-s1", "reasons_2-s1", "heard-s0", "reasons-s0", "reasons_2-s0"]
    assert "waiting for heard-s0, which another process makes" in capsys.readouterr().out
