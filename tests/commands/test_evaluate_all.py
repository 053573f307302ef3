"""`evaluate --split all`: a policy trained elsewhere is tested on every item of another corpus, here IEMOCAP's."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from layouts.iemocap import write
from renamed_demo import write_rows

from lalm_ambig import compare, evaluate, fit, report
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.corpora.iemocap.corpus import Iemocap
from lalm_ambig.evaluation.predictions import Prediction, read_predictions
from lalm_ambig.policies.tiny import Tiny

SMALL = [
    "--model.reasoning=false",
    "--model.objective.ce_weight=0.0",
    "--data.limit=12",
    "--data.eval_batch_size=12",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.logger=false",
    "--policy.adapter.method=lora",
    "--run.name=far",
    "--run.probe=false",
]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def run(demo_root: Path, cache_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        words = [*SMALL, f"--data.corpus.root={demo_root}", f"--run.root={runs}"]
        patch.setattr(sys, "argv", ["fit", *words])
        assert fit.main() == 0
        yield runs / "far"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("corpora") / "iemocap")


@pytest.fixture(scope="module")
def out(run: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "all"
    assert evaluate.main([*asked(run, root), "--temperature-scaling", "--out", str(folder)]) == 0
    return folder


def asked(run: Path, root: Path) -> list[str]:
    return ["--run", str(run), "--corpus", "iemocap", "--root", str(root), "--split", "all"]


def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text())
    return content


def kept(folder: Path) -> dict[str, Prediction]:
    return {one.id: one for one in read_predictions(folder / "predictions.jsonl")}


def test_a_fold_beside_all_items_is_refused(root: Path, tmp_path: Path) -> None:
    words = ["--policy", "tiny", "--corpus", "iemocap", "--root", str(root), "--out", str(tmp_path / "o")]
    with pytest.raises(InputError, match=r"^--fold: --split all takes the items of every fold: leave one"):
        evaluate.main([*words, "--split", "all", "--fold", "2"])


def test_every_item_of_every_session_is_a_test_item(root: Path, out: Path) -> None:
    items = [item.id for item in Iemocap(root).read()]
    for row in (".", "uniform", "prior", "mapped_prior", "temperature"):
        found = metrics(out / row)
        assert (found["items"], found["split"]) == (len(items), "all")
        assert list(kept(out / row)) == items, row
    assert metrics(out)["trained_on"] == "demo" and metrics(out / "prior")["trained_on"] is None


def test_a_fold_of_it_is_what_that_fold_alone_gives(run: Path, root: Path, out: Path, tmp_path: Path) -> None:
    words = ["--run", str(run), "--corpus", "iemocap", "--root", str(root), "--fold", "1"]
    assert evaluate.main([*words, "--temperature-scaling", "--out", str(tmp_path / "one")]) == 0
    for row in (".", "prior", "temperature"):
        every, one = kept(out / row), kept(tmp_path / "one" / row)
        assert {name[4] for name in one} == {"2"}
        for name, prediction in one.items():
            assert every[name].predicted_dist == pytest.approx(prediction.predicted_dist, abs=1e-4), row
    found, alone = metrics(out / "temperature"), metrics(tmp_path / "one" / "temperature")
    assert found["fold_temperatures"][1] == pytest.approx(alone["temperature"], rel=1e-3)
    assert (found["temperature"], alone["fold_temperatures"]) == (None, [])
    note = "class logits divided by a temperature per fold ("
    assert any(line.startswith(note) and line.count(", ") == 5 for line in found["notes"])
    assert not any(note in line for line in alone["notes"])


def test_report_and_compare_take_it_and_say_how_many_items(
    run: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main([str(out), str(out / "prior")]) == 0
    assert f"iemocap, all splits, the same {metrics(out)['items']} items" in " ".join(
        capsys.readouterr().out.split()
    )
    assert report.main([str(run), str(out), "--table", "a3", "--figure", "none", "--out", str(tmp_path)]) == 0
    table = (tmp_path / "a3.md").read_text()
    assert "cross-domain, demo → IEMOCAP" in table
    assert f"iemocap, all splits, {metrics(out)['items']} items" in table


def test_a_corpus_that_gives_its_split_has_no_prior_and_no_temperature(
    run: Path,
    demo_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {name: {"happiness": "joy"}.get(name, name) for name in CATEGORIES.names}
    path = write_rows(tmp_path / "rows.jsonl", demo_root, names)
    words = ["--run", str(run), "--corpus", "jsonl", "--root", str(path), "--split", "all", "--limit", "12"]
    words += ["--option", "allow_outside=true", "--allow-trained-items", "--out", str(tmp_path / "out")]
    assert evaluate.main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "no prior of jsonl: corpus jsonl: it says itself which item is in which split" in printed
    assert not (tmp_path / "out/prior").exists()
    monkeypatch.setattr(Tiny, "load", lambda _: pytest.fail("weights were read"))
    with pytest.raises(
        InputError, match=r"--split all .* fold by fold: corpus jsonl: .* no folds\. Leave"
    ) as got:
        evaluate.main([*words, "--temperature-scaling"])
    assert "\n" not in str(got.value)


def test_too_few_items_for_a_temperature_are_refused_before_weights_are_read(
    run: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tiny, "load", lambda _: pytest.fail("weights were read"))
    words = [*asked(run, root), "--temperature-scaling", "--limit", "1", "--out", str(tmp_path / "out")]
    with pytest.raises(
        InputError, match=r"none of the 1 items is in the validation split of fold \d.* Raise"
    ):
        evaluate.main(words)
    assert not (tmp_path / "out").exists()
