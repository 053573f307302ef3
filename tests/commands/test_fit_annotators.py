"""A run that answers for single annotators: its tables, its record of items, its export, and who refuses it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lalm_ambig import baseline, evaluate, export, fit, load
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS
from lalm_ambig.evaluation.annotator_table import MOST_FREQUENT
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.evaluation.results_file import read_results
from lalm_ambig.evaluation.trained_items import read_trained_items

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def cache(cache_home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        yield


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of twelve a split, each with the answers of two annotators."""
    path = tmp_path_factory.mktemp("corpus") / "items.jsonl"
    rows = [
        {
            "id": f"{split}{n}",
            "text": f"This is the {split} text with the number {n} of twelve.",
            "split": split,
            "annotators": {"ann": "joy" if n % 3 else "anger", "bob": "anger"},
        }
        for split in SPLITS
        for n in range(12)
    ]
    head = {"categories": ["anger", "joy"], "profiles": {"ann": "Age: 26"}}
    path.write_text("".join(f"{json.dumps(row)}\n" for row in (head, *rows)))
    return path


def trained(corpus: Path, name: str, *words: str) -> Path:
    settings = ["--policy", "tiny", "--data", "jsonl", "--method", "sft_kl_only", "--trainer.max_epochs", "1"]
    place = [f"--data.corpus.root={corpus}", f"--run.root={corpus.parent}", "--run.name", name]
    assert fit.main([*settings, *place, "--run.probe", "false", "--logger", "none", *words]) == 0
    return corpus.parent / name


@pytest.fixture(scope="module")
def run(corpus: Path) -> Path:
    return trained(corpus, "each", "--data.annotators", "each", "--data.annotator_examples", "2", "--test")


def test_the_run_has_rows_of_annotators_and_what_they_make_together(run: Path) -> None:
    for row in ("uniform", "prior", "base", "trained", MOST_FREQUENT):
        results = read_results(run / "evaluation" / row / "metrics.json")
        assert results.annotators is not None
        assert (results.items, results.annotators.items, results.annotators.annotators) == (24, 12, 2)
        together = read_results(run / "evaluation" / row / "together/metrics.json")
        assert together.items == 12
        for name, interval in results.annotators.together.items():
            assert together.metrics[name].value == pytest.approx(interval.value, nan_ok=True)
    text = (run / "results.md").read_text(encoding="utf-8")
    assert "Answers for single annotators: 2 of them, 12 items." in text
    assert "trained: its error is" in text
    assert "panel" not in text


def test_a_row_together_stands_beside_one_for_all_annotators(run: Path, corpus: Path, tmp_path: Path) -> None:
    words = ["--corpus", "jsonl", "--root", str(corpus), "--out", str(tmp_path)]
    baseline.main(["prior", *words])
    plain = read_results(tmp_path / "metrics.json")
    together = read_results(run / "evaluation/trained/together/metrics.json")
    assert plain.items_digest == together.items_digest


def test_the_record_has_each_item_once_and_refuses_it_however_it_is_asked(
    run: Path, corpus: Path, tmp_path: Path
) -> None:
    record = read_trained_items(run)
    assert record is not None
    ids = [item.id for item in record.runs[0].items]
    assert ids == [f"{split}{n}" for split in ("train", "validation") for n in range(12)]
    for annotators in ("each", "together"):
        words = [
            "--corpus",
            "jsonl",
            "--root",
            str(corpus),
            "--annotators",
            annotators,
            "--out",
            str(tmp_path),
        ]
        with pytest.raises(InputError, match=r"trained on 12 of the 12 items"):
            evaluate.main(["--run", str(run), *words, "--split", "train"])
    other = trained(corpus, "all")
    words = ["--corpus", "jsonl", "--root", str(corpus), "--annotators", "each", "--out", str(tmp_path / "o")]
    with pytest.raises(InputError, match=r"trained on 12 of the 12 items"):
        evaluate.main(["--run", str(other), *words, "--split", "train"])


def test_evaluate_asks_as_the_run_was_trained(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate.main(["--run", str(run), "--out", str(tmp_path)]) == 0
    assert "each on 24 ratings of 12 items of jsonl, test split" in " ".join(capsys.readouterr().out.split())
    again, before = (
        read_predictions(folder / "predictions.jsonl") for folder in (tmp_path, run / "evaluation/trained")
    )
    assert [row.annotator for row in again[:2]] == ["ann", "bob"]
    for one, other in zip(again, before, strict=True):
        assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)


def test_an_input_without_annotator_is_refused_also_by_an_export(run: Path, tmp_path: Path) -> None:
    message = r"each answers for one annotator at a time \(data.annotators each\), and an input names none\."
    with pytest.raises(InputError, match=message):
        load(run)
    assert export.main([str(run), "--adapter", "--out", str(tmp_path / "x")]) == 0
    kept = yaml.safe_load((tmp_path / "x/config.yaml").read_text(encoding="utf-8"))
    assert (kept["data"]["annotators"], kept["data"]["annotator_examples"]) == ("each", 2)
    with pytest.raises(InputError, match=message):
        load(tmp_path / "x")
