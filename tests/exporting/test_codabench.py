"""The zip of a submission, line by line, its scores, and what is refused."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from layouts import lewidi as layout

from lalm_ambig.baselines.prior import prior
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.lewidi.corpus import Lewidi
from lalm_ambig.evaluation.overlap import Overlap
from lalm_ambig.evaluation.predictions import Prediction, write_predictions
from lalm_ambig.evaluation.results import About, evaluate_predictions
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.export import main
from lalm_ambig.exporting.codabench import submission


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layout.write(tmp_path_factory.mktemp("lewidi"))


def items(root: Path, part: str, split: str = "test") -> list[Item]:
    return [item for item in Lewidi(root, part=part).read() if item.split == split]


def answered(
    folder: Path, root: Path, part: str, predictions: Sequence[Prediction] | None = None, split: str = "test"
) -> Path:
    """A folder of predictions, by default of the prior."""
    corpus = Lewidi(root, part=part)
    if predictions is None:
        predictions = prior(items(root, part, split), train=items(root, part, "train"))
    about = About("lewidi", split, "none", "none", "prior", part=part, table_metrics=corpus.table_metrics)
    write_results(folder / "metrics.json", evaluate_predictions(predictions, corpus.categories, about=about))
    write_predictions(folder / "predictions.jsonl", predictions)
    return folder


def lines(path: Path, name: str) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode().splitlines()


def test_the_zip_has_a_table_per_set_and_a_line_per_item_in_the_order_of_the_file(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"mp": "mp", "csc": "csc", "par": "par", "varierr_nli": "ven"}
    folders = [str(answered(tmp_path / part, root, part, uniform(items(root, part))[::-1])) for part in parts]
    out = tmp_path / "res.zip"
    assert main(["--codabench", *folders, "--root", str(root), "--out", str(out)]) == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [f"{short}_test_soft.tsv" for short in parts.values()]
    keys = [str(n) for n in range(8)]
    sixth, eleventh = round(1 / 6, 10), round(1 / 11, 10)
    expected = {
        "mp": [0.5, 0.5],
        "csc": [0.0, *[sixth] * 6],
        "par": [eleventh] * 11,
        "ven": [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]],
    }
    for short, dist in expected.items():
        assert lines(out, f"{short}_test_soft.tsv") == [f"{key}\t{json.dumps(dist)}" for key in keys]
    shown = capsys.readouterr().out
    assert "varierr_nli: multilabel Manhattan distance" in shown
    assert f"written: {out} (mp_test_soft.tsv, csc_test_soft.tsv, " in shown


def test_the_order_of_labels_in_varierr_is_contradiction_entailment_neutral(
    root: Path, tmp_path: Path
) -> None:
    sure = [0.25, 0.0, 0.0, 0.0, 0.0, 0.75]  # contradiction; entailment and neutral
    predictions = [
        Prediction(i.id, i.split, None, i.votes, i.label_dist, tuple(sure))
        for i in items(root, "varierr_nli")
    ]
    found = submission(answered(tmp_path / "a", root, "varierr_nli", predictions), root)
    assert found.rows[0] == ("0", [[0.75, 0.25], [0.25, 0.75], [0.25, 0.75]])


def test_the_score_is_against_the_soft_label_of_the_file(root: Path, tmp_path: Path) -> None:
    perfect = [
        Prediction(i.id, i.split, None, i.votes, i.label_dist, i.label_dist) for i in items(root, "csc")
    ]
    rounded = submission(answered(tmp_path / "csc", root, "csc", perfect), root)
    assert 0 < rounded.score < 0.03  # thirds are rounded to two digits in the file
    exact = [Prediction(i.id, i.split, None, i.votes, i.label_dist, i.label_dist) for i in items(root, "mp")]
    assert submission(answered(tmp_path / "mp", root, "mp", exact), root).score == 0.0
    assert submission(answered(tmp_path / "un", root, "mp", uniform(items(root, "mp"))), root).score == 0.5


def test_shares_sum_to_one_though_a_softmax_in_single_precision_does_not(root: Path, tmp_path: Path) -> None:
    single = (0.20000000298, 0.79999995232)
    predictions = [Prediction(i.id, i.split, None, i.votes, i.label_dist, single) for i in items(root, "mp")]
    found = submission(answered(tmp_path / "mp", root, "mp", predictions), root)
    assert sum(found.rows[0][1]) == pytest.approx(1, abs=2e-10)


def test_equal_submissions_are_equal_files_and_replace_an_older_one(root: Path, tmp_path: Path) -> None:
    folder, out = str(answered(tmp_path / "par", root, "par")), tmp_path / "res.zip"
    words = ["--codabench", folder, "--root", str(root), "--out", str(out)]
    main(words)
    first = out.read_bytes()
    main(words)
    assert out.read_bytes() == first


def test_a_set_of_2023_is_scored_and_not_written(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(answered(tmp_path / "armis", root, "armis", uniform(items(root, "armis"))))
    main(["--codabench", folder, "--root", str(root)])
    no = sum(entry.hard_label == 0 for entry in Lewidi(root, part="armis").test_entries())
    assert 0 < no < 8  # a uniform prediction ties, and the first class is "no"
    said = capsys.readouterr().out
    assert said == f"armis: cross-entropy 0.69315, micro-F1 {no / 8:.5f} on 8 test items\n"
    with pytest.raises(InputError, match=r"armis is no set of 2025, which the task takes\. Leave it out"):
        main(["--codabench", folder, "--root", str(root), "--out", str(tmp_path / "res.zip")])
    assert not (tmp_path / "res.zip").exists()


def test_predictions_of_something_else_are_refused(root: Path, tmp_path: Path) -> None:
    test = uniform(items(root, "mp"))
    cases = {
        "few": (test[1:], "test item 0 of mp has no prediction over its 2 classes. Evaluate the whole"),
        "more": (
            [*test, Prediction("mp-test-99", "test", None, (1.0, 0.0), (1.0, 0.0), (0.5, 0.5))],
            "mp-test-99 is no test item of mp",
        ),
    }
    for name, (predictions, message) in cases.items():
        with pytest.raises(InputError, match=message.replace(".", r"\.")):
            submission(answered(tmp_path / name, root, "mp", predictions), root)
    validation = answered(
        tmp_path / "dev", root, "mp", uniform(items(root, "mp", "validation")), "validation"
    )
    with pytest.raises(InputError, match=r"predictions of lewidi, validation split, where the test split"):
        submission(validation, root)
    with pytest.raises(InputError, match=r"no such file: .*metrics\.json"):
        submission(tmp_path / "nowhere", root)


def test_predictions_of_trained_items_or_of_another_evaluation_are_refused(
    root: Path, tmp_path: Path
) -> None:
    test = uniform(items(root, "mp"))
    folder = answered(tmp_path / "leaky", root, "mp", test)
    results = read_results(folder / "metrics.json")
    leaky = replace(results.about, trained_items=Overlap(3, 0, len(test), runs=("x",)))
    write_results(folder / "metrics.json", replace(results, about=leaky))
    with pytest.raises(InputError, match=r"leaky: the policy was trained on test items"):
        submission(folder, root)
    mixed = answered(tmp_path / "mixed", root, "mp", test)
    write_predictions(mixed / "predictions.jsonl", test[1:])
    with pytest.raises(InputError, match=r"mixed: predictions and metrics are of different items"):
        submission(mixed, root)


def test_wrong_options_are_one_line(root: Path, tmp_path: Path) -> None:
    folder = str(answered(tmp_path / "mp", root, "mp"))
    (tmp_path / "notes.zip").write_text("mine")
    cases: list[tuple[list[str], str]] = [
        (["--out", "res.zip"], r"--codabench: it needs the test files"),
        (
            ["--root", str(root), "--out", "res.tar"],
            r"--out: must be a file that ends in \.zip, got res\.tar",
        ),
        (["--root", str(root), "--out", str(tmp_path / "notes.zip")], r"is a file of something else"),
        (["--root", str(root), "--push", "me/x"], r"--push: it says how weights are exported"),
        (["--root", str(root), "--allow-any-class"], r"--allow-any-class: it says how weights are exported"),
        (["--root", str(root), "--policy.path", "x"], r"--policy\.path: it says how weights are exported"),
        ([folder, "--root", str(root), "--out", str(tmp_path / "r.zip")], r"two folders are of mp"),
        (["--root", str(tmp_path / "no")], r"corpus lewidi: not found"),
    ]
    for words, message in cases:
        with pytest.raises(InputError, match=message):
            main(["--codabench", folder, *words])
    assert (tmp_path / "notes.zip").read_text() == "mine"


def test_other_exports_take_one_run_and_a_folder_and_no_root() -> None:
    for words, message in (
        (["a", "b", "--adapter", "--out", "c"], r"one run at a time, got 2"),
        (["a", "--adapter", "--out", "c", "--root", "d"], r"--root: it goes with --codabench"),
        (["a", "--adapter"], r"--out: it is missing"),
    ):
        with pytest.raises(InputError, match=message):
            main(words)
