"""What commands write: names from data stay in the folder that was given, and nothing of another kind is replaced."""

import json
import multiprocessing
import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from lalm_ambig import compare, describe, fit, report
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.evaluation.results import About
from lalm_ambig.files.atomic import CannotWrite, write_lines, write_text
from lalm_ambig.runs.evaluation import check_place, score_and_save
from lalm_ambig.runs.folder.run_folder import RunFolder

ABOUT = About("demo", "test", "logits", "direct", "tiny, sft")
CLASSES = CategorySet(("anger", "neutral"))
OUTSIDE = [
    "y/../../outside/z",
    "/tmp/x",
    "..",
    "",
    "a\\b",
    "Demo",
    "demo",
    "DEMO",
    "de/mo",
    "x" * 300,
    "~/x",
    "é",
    "con",
]


def evaluated(folder: Path, **changes: str | None) -> Path:
    items = [Item(f"i{n}", (n % 3 + 1.0, 2.0), speaker=str(n % 4), split="test") for n in range(12)]
    score_and_save(folder, uniform(items), CLASSES, about=replace(ABOUT, **changes))
    return folder


def corpus_file(folder: Path) -> Path:
    rows = ({"id": str(n), "text": "x", "votes": {"b": 1, "c": n % 3 + 1}} for n in range(20))
    return write_lines(folder / "rows.jsonl", map(json.dumps, rows))


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("field", [pytest.param("corpus", marks=pytest.mark.slow), "part"])
def test_a_report_stays_in_its_folder_whatever_results_files_say(field: str, tmp_path: Path) -> None:
    runs = [evaluated(tmp_path / f"run{n}") for n in range(len(OUTSIDE))]
    for run, name in zip(runs, OUTSIDE, strict=True):
        content = json.loads((run / "metrics.json").read_text())
        (run / "metrics.json").write_text(json.dumps(content | {field: name}))
    (tmp_path / "outside").mkdir()
    before = tree(tmp_path)
    words = [*map(str, runs), "--figure", "none", "--out", str(tmp_path / "out" / "deep")]
    assert report.main(words) == 0
    made = set(tree(tmp_path)) - set(before)
    assert all(path.startswith("out/deep/") and path.count("/") == 2 for path in made)
    tables = {path.casefold() for path in made if "/all_" in path and path.endswith(".csv")}
    assert len(tables) == (len(OUTSIDE) if field == "corpus" else 1)  # the items are of one part
    assert {path: content for path, content in tree(tmp_path).items() if path in before} == before


def test_figures_stay_there_too(tmp_path: Path) -> None:
    run = evaluated(tmp_path / "run", corpus=OUTSIDE[0])
    report.main([str(run), "--table", "all", "--figure", "entropy", "--out", str(tmp_path / "out")])
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {
        ".html",
        ".md",
        ".tex",
        ".csv",
        ".png",
        ".svg",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


def test_a_second_report_replaces_the_first_and_nothing_else(tmp_path: Path) -> None:
    words = [str(evaluated(tmp_path / "run")), "--figure", "entropy", "cost", "--out", str(tmp_path / "out")]
    report.main(words)
    first = tree(tmp_path / "out")
    report.main(words)
    assert tree(tmp_path / "out") == first
    for name in sorted(first):
        file = tmp_path / "out" / name
        file.write_text("mine,\nnot yours\n")
        with pytest.raises(
            InputError, match=rf"^--out: .*{name} is there and is not what report writes: it is left"
        ):
            report.main(words)
        assert file.read_text() == "mine,\nnot yours\n"
        file.write_bytes(first[name])


def test_compare_and_describe_write_over_their_own_files_only(tmp_path: Path) -> None:
    first, second = evaluated(tmp_path / "a"), evaluated(tmp_path / "b", policy="other")
    rows = corpus_file(tmp_path)
    sides = [str(first), str(second), "--out"]
    corpus = ["--corpus", "jsonl", "--root", str(rows), "--json"]
    outs = {"c.md": (compare.main, sides), "c.json": (compare.main, sides), "d.json": (describe.main, corpus)}
    for _ in range(2):
        for name, (main, words) in outs.items():
            main([*words, str(tmp_path / name)])
    foreign = [first / "metrics.json", rows, *(tmp_path / name for name in outs)]
    for name, (main, words) in outs.items():
        for file in foreign:
            same_kind = file.name.split(".")[0] == name.split(".")[0]
            if same_kind or (main is compare.main and file.suffix not in (".md", ".json")):
                continue
            before = file.read_bytes()
            with pytest.raises(
                InputError, match=r"^--(out|json): .* is there and is not what (compare|describe)"
            ):
                main([*words, str(file)])
            assert file.read_bytes() == before


def test_a_summary_goes_through_a_link_and_a_fifo(tmp_path: Path) -> None:
    rows = corpus_file(tmp_path)
    words = ["--corpus", "jsonl", "--root", str(rows), "--json"]
    (tmp_path / "target.json").touch()
    (tmp_path / "link.json").symlink_to("target.json")
    describe.main([*words, str(tmp_path / "link.json")])
    written = json.loads((tmp_path / "target.json").read_text())
    assert (tmp_path / "link.json").is_symlink() and written["items"] == 20
    os.mkfifo(tmp_path / "fifo")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "fifo").read_text()), daemon=True)
    reader.start()
    describe.main([*words, str(tmp_path / "fifo")])
    reader.join(timeout=10)
    assert json.loads(read[0])["items"] == 20 and (tmp_path / "fifo").is_fifo()


@pytest.mark.parametrize(
    "name", ["metrics.json", "predictions.jsonl", "prior/metrics.json", "temperature/predictions.jsonl"]
)
def test_results_replace_results_and_nothing_else(name: str, tmp_path: Path) -> None:
    out = evaluated(tmp_path / "out")
    check_place(out)
    check_place(tmp_path / "new" / "folder")
    file = out / name
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"metrics": "of another program"}\n')
    with pytest.raises(
        InputError, match=rf"^--out: .*{name} is there and is not a .*: it is left as it is\. Name"
    ):
        check_place(out)
    if file.parent == out:
        with pytest.raises(InputError, match="it is left as it is"):
            evaluated(out)
    assert file.read_text() == '{"metrics": "of another program"}\n'


@pytest.mark.parametrize("place", ["/dev/null", "{tmp}/file", "{tmp}/file/below", "{tmp}/fifo"])
def test_a_folder_that_cannot_be_made_is_refused_before_the_work(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "fifo")
    out = place.format(tmp=tmp_path)
    with pytest.raises(
        InputError, match=r"^--out: cannot write to .* is no folder that may be written to\. Name"
    ):
        check_place(Path(out))
    with pytest.raises(InputError, match=r"^--out: cannot write to"):
        report.main(["none", "--out", out])


def test_a_runs_folder_is_no_place_for_results(tmp_path: Path) -> None:
    RunFolder(tmp_path / "r").record("model: {}\n", "abc")
    with pytest.raises(InputError, match=r"is a run's own folder.* Name another, as .*r/evaluation/other\."):
        check_place(tmp_path / "r")
    check_place(tmp_path / "r" / "evaluation" / "other")


@pytest.mark.parametrize(
    "name", ["config.yaml", "results.md", "metrics.csv", "environment.json", "adapter/x", "evaluation/x"]
)
def test_a_folder_of_something_else_is_no_runs_and_stays_as_it_is(name: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "r")
    file = run.path / name
    file.parent.mkdir(parents=True)
    file.write_text('{"mine": 1}')
    with pytest.raises(
        InputError, match=r"^run\.name: .*r is no run's folder, and holds a .* of something else"
    ) as error:
        run.state_for("abc")
    assert "\n" not in str(error.value) and file.read_text() == '{"mine": 1}'


def test_a_run_goes_on_in_its_own_folder_and_beside_a_log_of_the_shells(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "r")
    run.path.mkdir()
    (run.path / "slurm.out").write_text("")
    assert run.state_for("abc") == "new"
    run.record("model: {}\n", "abc")
    assert run.state_for("abc") == "new"
    run.config.unlink()  # killed between the two
    run.record("model: {}\n", "abc")
    assert run.config.read_text() == "model: {}\n"
    with pytest.raises(InputError, match="holds a run with another configuration"):
        run.state_for("other")


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/b", "..", " "])
def test_fit_takes_one_folders_name_before_it_does_anything(name: str) -> None:
    with pytest.raises(InputError, match=r"^run\.name: .* run\.root says in which folder it is made"):
        fit.train([f"--run.name={name}"], Console())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody")
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_file_of_another_user_is_not_replaced(mode: int) -> None:
    folder = Path(tempfile.mkdtemp())  # pytest's own is closed to others
    folder.chmod(0o777)
    file = write_text(folder / "x", "mine")
    file.chmod(mode)
    reader = multiprocessing.get_context("fork").Process(target=as_nobody, args=(file,))
    reader.start()
    reader.join()
    assert (reader.exitcode, file.read_text(), len(list(folder.iterdir()))) == (3, "mine", 1)


def as_nobody(file: Path) -> None:
    os.setuid(65534)
    try:
        write_text(file, "theirs")
    except CannotWrite:
        os._exit(3)
    os._exit(0)
