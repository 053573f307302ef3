"""`fit` looks at the test split only if it is asked to, and then does only what is missing."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lalm_ambig import fit
from lalm_ambig.runs import training
from lalm_ambig.runs.folder.run_folder import RunFolder

Fit = Callable[..., str]
SMALL = [
    "--data.limit=12",
    "--data.batch_size=4",
    "--data.items_per_update=4",
    "--trainer.max_epochs=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--policy.adapter.projector=false",
    "--policy.adapter.audio_tower=false",
    "--policy.adapter.rank=4",
]
TESTED = ("uniform", "prior", "base", "trained", "probe", "panel")
NOT_LOOKED_AT = "the test split was not looked at: add --test to the same command"


@pytest.fixture
def small_fit(demo_root: Path, tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Runs `fit` on few items and returns what it printed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))

    def run(*more: str) -> str:
        said = io.StringIO()
        words = [*SMALL, f"--data.corpus.root={demo_root}", f"--run.root={tmp_path}", "--run.name=r", *more]
        fit.train(words, Console(file=said, width=200))
        return " ".join(said.getvalue().split())

    return run


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that a policy has answered, in order."""
    splits: list[str] = []
    plain = training.predict

    def watched(trainer: Any, model: Any, data: Any, split: Any) -> Any:
        splits.append(split)
        return plain(trainer, model, data, split)

    monkeypatch.setattr(training, "predict", watched)
    return splits


def rows(run: RunFolder, split: Any) -> dict[str, bytes]:
    files = run.evaluation("", split).glob("*/predictions.jsonl")
    return {file.parent.name: file.read_bytes() for file in files}


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_validated_and_tested_only_if_that_is_asked_for(
    small_fit: Fit, predicted: list[str], tmp_path: Path
) -> None:
    run, whole = RunFolder(tmp_path / "r"), RunFolder(tmp_path / "whole/r")
    said = small_fit()
    assert predicted == ["validation", "validation"]
    assert "demo, validation split, 6 items" in said and "test split, 12" not in said
    assert f"{NOT_LOOKED_AT}, or evaluate: lalm-ambig evaluate --run {run.path} --out DIR" in said
    assert "on all 6 items. So the trained row is no test." in said
    assert not rows(run, "test") and run.state() == "finished" and not run.is_tested
    assert set(rows(run, "validation")) == {*TESTED}
    assert "probe: the L2 penalty was chosen on these items." in said
    assert "These weights have not been tested." in (run.adapter / "README.md").read_text()
    again = small_fit()
    assert "r is finished already:" in again
    assert NOT_LOOKED_AT in again and "demo, validation split, 6 items" in again

    card = run.adapter / "README.md"
    card.write_text(card.read_text().replace("*to be added*", "by its author", 1))
    before, weights = rows(run, "validation"), run.best.stat().st_mtime_ns
    said = small_fit("--test")
    assert predicted == ["validation", "validation", "test", "test"]
    assert said.index("demo, validation split, 6 items") < said.index("demo, test split, 12 items")
    assert NOT_LOOKED_AT not in said + run.results.read_text()
    assert run.is_tested and set(rows(run, "test")) == {*TESTED}
    assert (rows(run, "validation"), run.best.stat().st_mtime_ns) == (before, weights)
    assert "by its author" in card.read_text() and "not been tested" not in card.read_text()
    assert "demo, test split" in card.read_text() and "demo, validation split" not in card.read_text()

    small_fit("--test", f"--run.root={whole.path.parent}")
    assert rows(whole, "test") == rows(run, "test") and rows(whole, "validation") == before
    assert whole.results.read_text() == run.results.read_text()
    predicted.clear()
    shown = small_fit("--test")
    assert "demo, validation split, 6 items" in shown and "demo, test split, 12 items" in shown
    hidden = small_fit()
    assert "demo, test split" not in hidden and "the test split has been evaluated: --test shows" in hidden
    assert not predicted


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_finished_run_of_an_older_version_is_shown_as_it_is(
    small_fit: Fit, predicted: list[str], tmp_path: Path
) -> None:
    small_fit("--test", "--run.probe=false")
    run = RunFolder(tmp_path / "r")
    older = run.results.read_text().partition("## Test\n")[2]
    run.results.write_text(older)
    predicted.clear()
    for more in ((), ("--test",)):
        said = small_fit("--run.probe=false", *more)
        assert "finished already" in said and "demo, test split, 12 items" in said
        assert "not looked at" not in said and "--test" not in said
    assert run.is_tested and run.results.read_text() == older and not predicted
