"""`lalm-ambig budget`: what it prints and writes, on a corpus and on runs, and every mistake in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lalm_ambig import budget
from lalm_ambig.budget import main
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.evaluation.intervals import Clusters
from lalm_ambig.evaluation.predictions import Prediction, write_predictions
from lalm_ambig.evaluation.results import About, evaluate_predictions
from lalm_ambig.evaluation.results_file import write_results
from lalm_ambig.evaluation.vote_subsets import VotedItems
from lalm_ambig.reporting.budget.figure import CURVES, drawing
from lalm_ambig.reporting.budget.summary import OF_Q, Asked, budget_of

CLASSES = CategorySet(("anger", "joy", "neutral"))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "figure" not in request.node.name:  # drawing takes longer than the rest
        monkeypatch.setattr(budget, "find_spec", lambda _: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("COLUMNS", "120")


def drawn_votes(items: int = 40, total: int = 12) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.multinomial(total, generator.dirichlet([0.6] * 3, size=items))


def corpus(tmp_path: Path, votes, name: str = "items.jsonl") -> Path:
    rows: list[object] = [{"categories": list(CLASSES.names)}]
    for n, row in enumerate(np.asarray(votes).tolist()):
        rows.append({"id": f"i{n}", "text": "x", "votes": dict(zip(CLASSES.names, row, strict=True))})
    path = tmp_path / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def run(
    folder: Path, votes, weight: float, *, target=None, always=None, speakers=None, readout="logits"
) -> Path:
    """Answers that go `weight` of the way from noise to the votes, or that are always the same."""
    noise = np.random.default_rng(7).dirichlet([1.0] * 3, size=len(votes))
    rows = []
    for n, row in enumerate(np.asarray(votes, dtype=float)):
        people = row / row.sum()
        answer = weight * people + (1 - weight) * noise[n] if always is None else np.array(always)
        aim = people if target is None else np.array(target)
        parts = (tuple(row.tolist()), tuple(aim.tolist()), tuple(answer.tolist()))
        speaker = None if speakers is None else f"s{n % speakers}"
        rows.append(Prediction(f"i{n}", "test", speaker, *parts))
    folder.mkdir(parents=True)
    write_predictions(folder / "predictions.jsonl", rows)
    about = About("jsonl", "test", readout, "none", "tiny, untrained")
    write_results(folder / "metrics.json", evaluate_predictions(rows, CLASSES, about=about))
    return folder


def written(out: Path) -> dict:
    return json.loads((out / "budget.json").read_text())


def test_a_corpus_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = corpus(tmp_path, drawn_votes()), tmp_path / "out"
    assert main(["--corpus", "jsonl", "--root", str(root), "--out", str(out)]) == 0
    found, said = written(out), capsys.readouterr().out
    assert [row["votes"] for row in found["rows"]] == [1, 2, 3, 5, 8, 10, 12]
    assert {row["items"] for row in found["rows"]} == {40}
    last = found["rows"][-1]["values"]
    assert last["js_all"]["value"] == pytest.approx(0, abs=1e-9)
    assert last["majority_all"]["value"] == 1
    noise = [row["values"]["js_oracle"]["value"] for row in found["rows"]]
    assert noise == sorted(noise, reverse=True)
    assert found["conclusions"][0].startswith(f"From {found['enough']['votes']} votes an item on")
    assert "ROWS ARE OF DIFFERENT ITEMS" not in said
    for text in ("Label noise and floors", "Two groups of real votes", "Majority of n votes"):
        assert text in said
    assert {p.name for p in out.iterdir()} == {f"budget.{e}" for e in ("json", "csv", "md")}
    assert "no figure: matplotlib is not installed" in said
    lines = (out / "budget.csv").read_text().splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("votes,items,")
    assert main(["--corpus", "jsonl", "--root", str(root), "--out", str(out)]) == 0, (
        "its own files are replaced"
    )


def test_votes_that_no_distribution_explains_give_no_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two raters of an item agree less often than by chance: α is at its bound, and q uniform."""
    path = corpus(tmp_path, [[1, 1, 0], [0, 1, 1], [1, 0, 1]] * 10)
    assert main(["--corpus", "jsonl", "--root", str(path), "--out", str(tmp_path / "out")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "NO ADVICE: two raters" in said and "(α over 1000, its upper bound)" in said
    assert "an item on" not in said
    assert "oracle JS" not in said and "panel JS" not in said
    found = written(tmp_path / "out")
    assert (found["enough"], found["alpha_at_bound"]) == (None, "upper")
    assert not {name for row in found["rows"] for name in row["values"]} & set(OF_Q)
    assert "NO ADVICE" in (tmp_path / "out/budget.md").read_text()
    head, *lines = (tmp_path / "out/budget.csv").read_text().splitlines()
    assert "js_oracle" not in head and lines and all("over 1000, its upper bound" in line for line in lines)


def test_votes_that_never_differ_give_no_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = corpus(tmp_path, [[10, 0, 0], [0, 10, 0], [0, 0, 10]] * 10)
    assert main(["--corpus", "jsonl", "--root", str(path), "--out", str(tmp_path / "out")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "NO ADVICE: no two raters of an item ever differ" in said and "(α 0, its lower bound)" in said
    assert "an item on" not in said and "oracle JS" not in said and "JS, n others" in said
    assert written(tmp_path / "out")["alpha_at_bound"] == "lower"


def test_runs_are_beside_no_floor_where_q_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = [[1, 1, 0], [0, 1, 1], [1, 0, 1]] * 10
    paths = [run(tmp_path / name, votes, weight) for name, weight in (("good", 0.8), ("bad", 0.2))]
    main(["--run", *map(str, paths), "--metric", "brier_mean", "--out", str(tmp_path / "out")])
    said = " ".join(capsys.readouterr().out.split())
    assert "No oracle and panel: α is at a bound" in said and "less the oracle's" not in said
    assert "good − bad: of 60 votes" in said  # a difference of runs takes no q
    for rows in written(tmp_path / "out")["runs"]["scores"].values():
        assert all(set(row["scores"]) == {"good", "bad"} for row in rows)
    budgets = budget_of("x", VotedItems(("a",) * 12, torch.tensor([[5, 3]] * 12), Clusters()), Asked())
    figure = drawing(budgets)
    assert "no q (α over 1000" in figure.title
    assert [line.get_label() for line in figure.figure.axes[0].lines] == [
        label for name, (label, _) in CURVES.items() if name not in OF_Q
    ]


def test_the_tables_of_runs_say_their_speakers_and_seeds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = drawn_votes()
    paths = [run(tmp_path / n, votes, w, speakers=5) for n, w in (("good", 0.8), ("bad", 0.2))]
    floor = run(tmp_path / "prior", votes, 0.0, speakers=5, readout="none")
    main(["--run", *map(str, [*paths, floor]), "--out", str(tmp_path / "out")])
    said = " ".join(capsys.readouterr().out.split())
    scores, *pairs = said[said.index("of runs against n votes") :].split("What tells them apart")
    for part, names in ((scores, "good, bad"), (pairs[0], "good, bad"), (pairs[1], "good")):
        assert f"Intervals: 95% over 5 speakers. One seed: {names}. Another seed can change a value" in part
    found = written(tmp_path / "out")["runs"]
    assert (found["interval_units"], found["pair_interval_units"], found["one_seed"]) == (
        5,
        5,
        ["good", "bad"],
    )


def test_two_speakers_call_no_number_of_votes_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [
        run(tmp_path / n, drawn_votes(), w, speakers=2, always=a)
        for n, w, a in (("good", 0.8, None), ("bad", 0.2, (0.1, 0.1, 0.8)))
    ]
    main(["--run", *map(str, paths)])
    said = " ".join(capsys.readouterr().out.split())
    guess = "good − bad: an interval over two speakers is little more than a guess, so no number of votes is called"
    assert guess in said and "tell them best apart" not in said


def test_the_figure_has_the_floors_and_the_run(tmp_path: Path) -> None:
    one = run(tmp_path / "good", drawn_votes(), 0.8)
    out = tmp_path / "out"
    for _ in range(2):  # its own files are replaced
        main(["--run", str(one), "--votes", "1", "4", "12", "--out", str(out)])
    assert {p.name for p in out.iterdir()} == {f"budget.{e}" for e in ("json", "csv", "md", "png", "svg")}
    found = budget_of("x", VotedItems(("a",) * 12, torch.tensor([[6, 2]] * 12), Clusters()), Asked())
    noise, majority = drawing(found).figure.axes
    labels = [line.get_label() for line in noise.lines]
    assert labels == [label for label, _ in CURVES.values()]
    by_label = dict(zip(labels, noise.lines, strict=True))
    oracle = [row.values["js_oracle"].value for row in found.rows]
    assert by_label["oracle: n votes and q"].get_ydata().tolist() == oracle
    assert len(majority.lines) == 2


def test_rows_of_other_items_are_told_and_can_be_made_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = np.concatenate([drawn_votes(20, 4), drawn_votes(20, 9), [[1, 0, 0]]])
    words = ["--corpus", "jsonl", "--root", str(corpus(tmp_path, votes)), "--votes", "9", "2", "2"]
    main([*words, "--out", str(tmp_path / "all")])
    said = capsys.readouterr().out
    assert "ROWS ARE OF DIFFERENT ITEMS: of 40" in said
    assert "1 items with one vote are left out" in said
    assert [(r["votes"], r["items"]) for r in written(tmp_path / "all")["rows"]] == [(2, 40), (9, 20)]
    main([*words, "--common-items", "--out", str(tmp_path / "same")])
    said = capsys.readouterr().out
    assert "All rows are of the 20 items with at least 9 votes; 20 with fewer are left out." in said
    assert [(r["votes"], r["items"]) for r in written(tmp_path / "same")["rows"]] == [(2, 20), (9, 20)]


def test_a_run_is_scored_beside_the_floors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = drawn_votes()
    one = run(tmp_path / "good", votes, 0.8)
    main(["--run", str(one), "--out", str(tmp_path / "out")])
    found, said = written(tmp_path / "out"), capsys.readouterr().out
    scored = json.loads((one / "metrics.json").read_text())["metrics"]
    for metric in ("js_div_bits", "brier_mean", "kl"):
        last = found["runs"]["scores"][metric][-1]
        assert last["votes"] == 12
        assert last["scores"]["good"]["value"] == pytest.approx(scored[metric]["value"], abs=1e-9)
        assert last["scores"]["good"]["low"] == pytest.approx(scored[metric]["low"], abs=1e-9)
    assert "What fewer votes an item do to training is not measured here" in said
    assert "What tells them apart" not in said


def test_two_runs_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = drawn_votes()
    paths = [run(tmp_path / name, votes, weight) for name, weight in (("good", 0.8), ("bad", 0.2))]
    words = ["--run", *map(str, paths), "--metric", "brier_mean", "--total", "600"]
    main([*words, "--out", str(tmp_path / "out")])
    found = written(tmp_path / "out")["runs"]["pairs"]["brier_mean"]["good − bad"]
    assert [one["items"] for one in found] == [600 // n for n in (1, 2, 3, 5, 8, 10, 12)]
    assert all(one["difference"]["value"] < 0 for one in found)
    said = " ".join(capsys.readouterr().out.split())
    assert "good − bad: of 600 votes, 1 an item on 600 items tell them best apart" in said


def test_runs_that_cannot_be_compared_are_told_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = drawn_votes()
    one = run(tmp_path / "one", votes, 0.5)
    certain = run(tmp_path / "certain", votes, 0.5, always=(1.0, 0.0, 0.0))
    main(["--run", str(one), str(certain), "--votes", "2", "12", "--metric", "kl"])
    said = " ".join(capsys.readouterr().out.split())
    assert "one − certain: one of them rules out a class that has votes, so its KL is infinite" in said
    few = [run(tmp_path / "few" / name, votes[:5], weight) for name, weight in (("a", 0.8), ("b", 0.2))]
    main(["--run", *map(str, few), "--votes", "2", "12"])
    said = " ".join(capsys.readouterr().out.split())
    assert "No interval: 5 items, too few to say how far others would differ." in said
    assert "a − b: too few items or speakers to tell them apart by JS (base 2)." in said


def test_runs_are_told_apart_on_the_same_items_at_every_number_of_votes(tmp_path: Path) -> None:
    votes = np.concatenate([drawn_votes(37, 8), drawn_votes(13, 20)])
    paths = [run(tmp_path / name, votes, weight) for name, weight in (("good", 0.8), ("bad", 0.2))]
    main(["--run", *map(str, paths), "--votes", "2", "8", "20", "--out", str(tmp_path / "out")])
    found = written(tmp_path / "out")["runs"]
    assert [row["items"] for row in found["scores"]["kl"]] == [50, 50, 13]
    assert [one["votes"] for one in found["pairs"]["kl"]["good − bad"]] == [2, 8]
    assert found["pair_items"] == 50
    main(["--run", *map(str, paths), "--votes", "20", "--out", str(tmp_path / "out")])
    assert written(tmp_path / "out")["runs"]["pair_items"] == 13


def test_the_corpus_gives_the_rows_and_the_run_its_own_items(tmp_path: Path) -> None:
    votes = drawn_votes()
    root, one = corpus(tmp_path, votes), run(tmp_path / "good", votes[:25], 0.8)
    main(["--corpus", "jsonl", "--root", str(root), "--run", str(one), "--out", str(tmp_path / "out")])
    found = written(tmp_path / "out")
    assert found["items"] == 40
    assert found["runs"]["items"] == 25


def test_runs_without_so_many_votes_are_refused_in_one_line(tmp_path: Path) -> None:
    votes = np.concatenate([drawn_votes(20, 3), drawn_votes(20, 9)])
    words = ["--corpus", "jsonl", "--root", str(corpus(tmp_path, votes))]
    few = run(tmp_path / "few", votes[:20], 0.8)
    wrong = r"--votes: no item of the runs has 5 votes: the largest number is 3\. Give one from 1 to 3, too"
    with pytest.raises(InputError, match=wrong):
        main([*words, "--run", str(few), "--votes", "5", "9"])
    main([*words, "--run", str(few), "--votes", "3", "9", "--out", str(tmp_path / "out")])
    assert [row["votes"] for row in written(tmp_path / "out")["runs"]["scores"]["kl"]] == [3]


def test_runs_on_items_of_one_vote_are_refused(tmp_path: Path) -> None:
    votes = np.concatenate([[[1, 0, 0]] * 20, drawn_votes(20, 9)])
    root, single = corpus(tmp_path, votes), run(tmp_path / "single", votes[:20], 0.8)
    with pytest.raises(InputError, match=r"--run: no item of the runs has two votes\. Leave the runs out"):
        main(["--corpus", "jsonl", "--root", str(root), "--run", str(single)])


def test_the_source_names_the_corpus_of_a_run(tmp_path: Path) -> None:
    one, out = run(tmp_path / "one", drawn_votes(), 0.5), tmp_path / "out"
    main(["--run", str(one), "--out", str(out)])
    assert written(out)["corpus"] == "jsonl, test split"


def test_a_run_called_as_a_floor_does_not_take_its_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "oracle", drawn_votes(), 0.2)
    monkeypatch.chdir(tmp_path)
    main(["--run", "oracle", "--out", "out"])
    scores = written(tmp_path / "out")["runs"]["scores"]["js_div_bits"][-1]["scores"]
    assert list(scores) == ["oracle", "panel", "run oracle"]
    assert scores["oracle"]["value"] < scores["run oracle"]["value"]


def test_a_run_with_other_votes_than_the_corpus_is_refused(tmp_path: Path) -> None:
    votes = drawn_votes()
    words = ["--corpus", "jsonl", "--root", str(corpus(tmp_path, votes[:30]))]
    more, other = run(tmp_path / "more", votes, 0.8), run(tmp_path / "other", votes[:30][::-1], 0.8)
    with pytest.raises(InputError, match=r"--run: item i30 is in the run, and not in jsonl"):
        main([*words, "--run", str(more)])
    with pytest.raises(InputError, match=r"--run: item i0 has votes .* in jsonl"):
        main([*words, "--run", str(other)])


@pytest.mark.parametrize(
    ("votes", "words", "message"),
    [
        ([[3, 2, 1]], ["--votes", "7"], r"--votes: no item has 7 votes: the largest number is 6\."),
        ([[3, 2, 1]], ["--votes", "0"], r"--votes: must be at least 1, got 0"),
        ([[3, 2, 1]], ["--votes", "two"], r"--votes: expected a whole number, got 'two'"),
        ([[1, 0, 0], [0, 1, 0]], [], r"no item of jsonl has two votes"),
        ([[0.5, 0.25, 0.25]], [], r"corpus jsonl: item i0 has votes 0.5, 0.25, 0.25: these are shares"),
        ([[3, 2, 1]], ["--tolerance", "0"], r"--tolerance: must be in \(0, 1\), got 0"),
        ([[3, 2, 1]], ["--metric", "kl"], r"--metric: goes with --run"),
        ([[3, 2, 1]], ["--total", "50"], r"--total: goes with two --run"),
        ([[3, 2, 1]], ["--run", "nowhere"], r"--run: nowhere has no predictions.jsonl"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, votes, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        main(["--corpus", "jsonl", "--root", str(corpus(tmp_path, votes)), *words])


def test_without_votes_there_is_nothing_to_count(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"budget: missing: --corpus NAME or --run FOLDER"):
        main([])
    one = run(tmp_path / "one", drawn_votes(), 0.5)
    for option in (["--root", "x"], ["--part", "snli"], ["--option", "a=b"]):
        with pytest.raises(InputError, match=rf"{option[0]}: goes with --corpus NAME"):
            main(["--run", str(one), *option])


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    votes = drawn_votes()
    one, other = run(tmp_path / "one", votes, 0.5), run(tmp_path / "other", votes[:30], 0.5)
    with pytest.raises(InputError, match=r"--run: .*40 items and .* 30"):
        main(["--run", str(one), str(other)])
    with pytest.raises(InputError, match=r"--run: the same folder is given twice"):
        main(["--run", str(one), f"{one}/"])
    drawn = run(tmp_path / "panel", votes, 0.5, target=[0.2, 0.3, 0.5])
    with pytest.raises(InputError, match=r"--run: .*panel is scored against something else than the votes"):
        main(["--run", str(drawn)])


def test_files_of_something_else_are_left(tmp_path: Path) -> None:
    root, out = corpus(tmp_path, drawn_votes()), tmp_path / "out"
    out.mkdir()
    (out / "budget.md").write_text("my notes on money")
    with pytest.raises(InputError, match=r"--out: .*budget.md is there and is not what budget writes"):
        main(["--corpus", "jsonl", "--root", str(root), "--out", str(out)])
    assert [p.name for p in out.iterdir()] == ["budget.md"]


def test_runs_of_one_name_are_called_by_their_paths(tmp_path: Path) -> None:
    votes = drawn_votes()
    paths = [run(tmp_path / place / "same", votes, 0.5) for place in "ab"]
    main(["--run", *map(str, paths), "--out", str(tmp_path / "out")])
    assert written(tmp_path / "out")["runs"]["names"] == list(map(str, paths))
