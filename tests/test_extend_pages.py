"""The code that docs/extend shows is right: it is written into a module and used."""

import importlib
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
import torch

from lalm_ambig.core.discovery import classes_in
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.metrics.base import DistributionMetric
from lalm_ambig.rewards.base import Reward

PAGES = Path(__file__).parents[1] / "docs" / "extend"
CODE = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def module_of(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The page's first block as a module."""
    block = CODE.search((PAGES / page).read_text(encoding="utf-8"))
    assert block is not None
    name = f"shown_{page.removesuffix('.md')}"
    (folder / f"{name}.py").write_text(textwrap.dedent(block[1]), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


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
