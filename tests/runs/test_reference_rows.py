"""The rows of fit's table that say what is possible."""

from pathlib import Path

import pytest
from rich.console import Console

from lalm_ambig import baseline
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.evaluation.predictions import read_predictions
from lalm_ambig.methods.sft import SFT
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.runs.folder.run_folder import RunFolder
from lalm_ambig.runs.reference_rows import References
from lalm_ambig.runs.session import connect


def prepared(demo_root: Path, folder: Path, *, tower: bool, start: Path | None = None) -> References:
    model = SFT(Tiny(adapter=Adapter(audio_tower=tower)), reasoning=False)
    data = DataModule(open_corpus("demo", demo_root), prompt="speech_emotion_short")
    data = connect(model, data, training=True)
    model.start = start
    return References(RunFolder(folder), model, data, "test", "cpu")


@pytest.mark.parametrize(
    "tower",
    [
        pytest.param(False, id="features cached"),
        pytest.param(True, id="features of a tower to be trained", marks=pytest.mark.slow),
    ],
)
def test_the_probe_of_a_run_is_that_of_the_command(
    demo_root: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tower: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    rows = prepared(demo_root, tmp_path / "run", tower=tower).rows(Console(), probe=True)
    assert list(rows) == ["probe", "panel"]
    words = ["--policy", "configs/policy/tiny.yaml", "--corpus", "demo", "--root", str(demo_root)]
    for name in rows:
        own = words if name == "probe" else words[2:]
        baseline.main([name, *own, "--out", str(tmp_path / name)])
        expected, found = (
            read_predictions(folder / "predictions.jsonl")
            for folder in (tmp_path / name, tmp_path / "run/evaluation" / name)
        )
        assert [row.id for row in found] == [row.id for row in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.predicted_dist == pytest.approx(other.predicted_dist, abs=1e-5)


def test_rows_are_made_once(
    demo_root: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    references = prepared(demo_root, tmp_path, tower=False)
    first = references.rows(Console(), probe=True)

    def never(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("lalm_ambig.runs.reference_rows.save_baseline", never)
    again = references.rows(Console(), probe=True)
    assert {n: r.metrics["js_div_bits"] for n, r in again.items()} == {
        n: r.metrics["js_div_bits"] for n, r in first.items()
    }
    assert list(references.rows(Console(), probe=False)) == ["panel"]


def test_a_run_that_starts_from_trained_weights_says_why_it_has_no_probe(
    demo_root: Path,
    cache_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    references = prepared(demo_root, tmp_path, tower=False, start=tmp_path)
    assert list(references.rows(Console(), probe=True)) == ["panel"]
    assert "no probe row: this run starts from trained weights" in capsys.readouterr().out
