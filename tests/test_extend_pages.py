"""The code that docs/extend shows is right: it is written into a module and used."""

from pathlib import Path

import pytest
import torch
from extend_page import CODE, PAGES, module_of

from data_curation.records import Reasoning
from lalm_ambig.baselines.base import Baseline, BaselineInputs
from lalm_ambig.core.discovery import classes_in
from lalm_ambig.core.types import Item
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.rewards.base import Reward


def test_the_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cls,) = classes_in(module_of("reward.md", tmp_path, monkeypatch), Reward)
    reward = cls()
    assert reward.weight == 1.0
    assert reward.upper_bound(torch.tensor([[0.5, 0.5]])).tolist() == [1.0]


def test_the_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cls,) = classes_in(module_of("metric.md", tmp_path, monkeypatch), DistributionMetric)
    metric = cls(2)
    metric.update(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.25, 0.75]]))
    assert metric.compute().item() == pytest.approx(0.75)


def test_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cls,) = classes_in(module_of("corpus.md", tmp_path, monkeypatch), Corpus)
    file = tmp_path / "offence.csv"
    rows = [f"t{n},You said so {n}.,{n % 6},{6 - n % 6}" for n in range(20)]
    file.write_text("\n".join(["id,text,offensive,neutral", *rows, "t20,Without votes.,0,0"]) + "\n")
    corpus = cls(file, skip_bad_rows=True)
    items = list(corpus.read())
    assert len(items) == 20 and {item.split for item in items} == {"train", "validation", "test"}
    assert items[1].votes == (1.0, 5.0)
    assert any("left out" in note for note in corpus.notes())


def test_the_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cls,) = classes_in(module_of("baseline.md", tmp_path, monkeypatch), Baseline)
    train = [Item("a", (1.0, 2.0), text="A."), Item("b", (1.0, 3.0), text="B.")]
    test = [Item("c", (3.0, 0.0), text="C.", split="test")]
    result = cls().answer(BaselineInputs(test, train, [], torch.tensor([[3.0, 0.0]])))
    assert [prediction.predicted_dist for prediction in result.predictions] == [(0.0, 1.0)]
    assert result.predictions[0].label_dist == (1.0, 0.0) and cls.fitted_on == ("train",)


def test_the_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = module_of("filter.md", tmp_path, monkeypatch).check
    said = dict.fromkeys(("text_analysis", "volume", "speed", "pitch", "tone", "synthesis"), "It is so.")
    once = Reasoning(keywords=("loud", "fast"), class_cues=(), **said)
    assert check(once, [1.0], ["anger"]) == []
    assert check(once.model_copy(update={"keywords": ("loud", "Loud")}), [1.0], ["anger"]) == [
        "keyword 'loud' comes twice"
    ]


def test_every_page_of_something_to_add_has_code_that_runs() -> None:
    """`base_model.md` has an example in the repository in place of a block."""
    without = {page.name for page in PAGES.glob("*.md") if not CODE.search(page.read_text("utf-8"))}
    assert without == {"index.md", "base_model.md"}
    assert "examples/own_base_model.py" in (PAGES / "base_model.md").read_text("utf-8")
