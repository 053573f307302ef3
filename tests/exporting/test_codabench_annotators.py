"""The zip of the perspectivist task, line by line, its scores, and what is refused."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from layouts import lewidi as layout

from lalm_ambig.baselines.base import predict_one
from lalm_ambig.baselines.uniform import uniform
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.lewidi.corpus import Lewidi
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.annotator_scores import TOGETHER
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.evaluation.results import About
from lalm_ambig.export import main
from lalm_ambig.exporting.codabench import submission
from lalm_ambig.runs.evaluation import score_and_save


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layout.write(tmp_path_factory.mktemp("lewidi"))


def pairs(root: Path, part: str) -> list[Item]:
    data = DataModule(Lewidi(root, part=part), annotators="each", annotator_examples=0)
    data.setup()
    return list(data.items("test"))


def answered(folder: Path, root: Path, part: str, predictions: Sequence[Prediction]) -> Path:
    corpus = Lewidi(root, part=part)
    about = About("lewidi", "test", "none", "none", "x", part=part, table_metrics=corpus.table_metrics)
    score_and_save(folder, predictions, corpus.categories, about=about)
    return folder


def right(root: Path, part: str) -> list[Prediction]:
    return [predict_one(item, item.label_dist) for item in pairs(root, part)]


def lines(path: Path, name: str) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode().splitlines()


def annotations(root: Path, part: str) -> dict[str, Any]:
    entries = json.loads(layout.path_of(root, part, "test").read_text(encoding="utf-8"))
    return {key: entry["annotations"] for key, entry in entries.items()}


def test_the_zip_has_the_label_of_each_annotator_in_the_order_of_the_entry(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"mp": "mp", "csc": "csc", "par": "par", "varierr_nli": "ven"}
    folders = [str(answered(tmp_path / part, root, part, right(root, part)[::-1])) for part in parts]
    out = tmp_path / "res.zip"
    assert main(["--codabench", *folders, "--root", str(root), "--out", str(out)]) == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [f"{short}_test_pe.tsv" for short in parts.values()]
    for part in ("mp", "csc", "par"):
        expected = [
            f"{key}\t{json.dumps([*map(int, own.values())])}" for key, own in annotations(root, part).items()
        ]
        assert lines(out, f"{part}_test_pe.tsv") == expected
    of_first = [
        [1, 0, 0],
        [0, 1, 0],
        [0, 1, 1],
    ]  # Ann1 contradiction, Ann2 entailment and neutral, Ann4 neutral
    assert lines(out, "ven_test_pe.tsv")[0] == f"0\t{json.dumps(of_first)}"
    shown = capsys.readouterr().out.splitlines()
    assert shown[:4] == [
        "mp: error rate 0.00000 on 8 test items, answered for each annotator",
        "csc: normalised absolute distance 0.00000 on 8 test items, answered for each annotator",
        "par: normalised absolute distance 0.00000 on 8 test items, answered for each annotator",
        "varierr_nli: multilabel error rate 0.00000 on 8 test items, answered for each annotator",
    ]


def test_both_tasks_go_into_one_zip(root: Path, tmp_path: Path) -> None:
    folder, out = answered(tmp_path / "par", root, "par", right(root, "par")), tmp_path / "res.zip"
    words = ["--codabench", str(folder), str(folder / TOGETHER), "--root", str(root), "--out", str(out)]
    assert main(words) == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["par_test_pe.tsv", "par_test_soft.tsv"]
    together = submission(folder / TOGETHER, root).score
    assert together == pytest.approx(0, abs=0.06)  # the file's labels are rounded
    with pytest.raises(InputError, match=r"two folders are of par with answers for single annotators"):
        main(["--codabench", str(folder), str(folder), "--root", str(root), "--out", str(out)])


def test_the_label_of_a_scale_is_the_median_and_the_score_is_over_its_steps(
    root: Path, tmp_path: Path
) -> None:
    spread = (0.4, 0.0, 0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.4)
    found = submission(
        answered(tmp_path / "p", root, "par", [predict_one(i, spread) for i in pairs(root, "par")]), root
    )
    assert found.rows[0] == ("0", [0, 0, 0])
    labels = [[abs(int(label)) for label in own.values()] for own in annotations(root, "par").values()]
    by_hand = sum(sum(own) / len(own) / 11 for own in labels) / len(labels)
    assert found.score == pytest.approx(by_hand, abs=1e-12)


def test_an_annotator_who_is_named_twice_has_the_label_twice(tmp_path: Path) -> None:
    other = layout.write(tmp_path / "lewidi")
    entry = layout.of_2023("A tweet", "Ann5,Ann4,Ann4", "0,0,1")
    layout.write_entries(other, "md_agreement", "test", {"7": entry})
    predictions = [predict_one(item, (0.0, 1.0)) for item in pairs(other, "md_agreement")]
    assert len(predictions) == 2
    found = submission(answered(tmp_path / "md", other, "md_agreement", predictions), other)
    assert (found.rows, found.score_name) == ((("7", [1, 1, 1]),), "error rate")
    assert found.score == pytest.approx(2 / 3, abs=1e-5)


def test_a_set_of_2023_is_scored_and_not_written(root: Path, tmp_path: Path) -> None:
    folder = str(answered(tmp_path / "armis", root, "armis", right(root, "armis")))
    assert main(["--codabench", folder, "--root", str(root)]) == 0
    with pytest.raises(InputError, match=r"armis is no set of 2025"):
        main(["--codabench", folder, "--root", str(root), "--out", str(tmp_path / "res.zip")])


def test_incomplete_mixed_and_strange_predictions_are_refused(root: Path, tmp_path: Path) -> None:
    test = right(root, "mp")
    strange = replace(test[0], id="mp-test-0@Ann77", annotator="Ann77")
    cases = {
        "few": (
            test[1:],
            r"annotator Ann1 of test item 0 of mp has no prediction over its 2 classes\. Evaluate the",
        ),
        "more": ([*test, strange], r"mp-test-0@Ann77 is no rating of the test items of mp"),
    }
    for name, (predictions, message) in cases.items():
        with pytest.raises(InputError, match=message) as raised:
            submission(answered(tmp_path / name, root, "mp", predictions), root)
        assert "\n" not in str(raised.value)
    together = uniform([item for item in Lewidi(root, part="mp").read() if item.split == "test"])
    with pytest.raises(
        InputError, match=r"is answered for all annotators together, and mp-test-0@Ann1 for one"
    ):
        answered(tmp_path / "mixed", root, "mp", [*test[:-2], *together[-1:]])


# the data as distributed


@pytest.mark.slow
@pytest.mark.parametrize("part", ["mp", "csc", "par", "varierr_nli"])
def test_the_real_annotations_are_the_targets_and_all_are_right(
    part: str, tmp_path: Path, shared_data: Path
) -> None:
    real = shared_data / "LeWiDi"
    found = submission(answered(tmp_path / part, real, part, right(real, part)), real)
    assert found.score == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_each_annotator_s_most_frequent_label_of_par_scores_as_published(
    tmp_path: Path, shared_data: Path
) -> None:
    from lalm_ambig.baseline import main as baseline

    real, out = str(shared_data / "LeWiDi"), tmp_path / "par"
    words = ["--annotators", "each", "--corpus", "lewidi", "--part", "par", "--root", real, "--out", str(out)]
    baseline(["annotator_most_frequent", *words])
    assert submission(out, Path(real)).score == pytest.approx(0.362, abs=5e-4)
