"""Writes finished runs in small, as fit and evaluate keep them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from report_runs import CLASSES, SFT, Make, about, answers, keep, settings

from lalm_ambig.evaluation.predictions import Prediction


@pytest.fixture
def make_run(tmp_path: Path) -> Make:
    """Writes a run folder of fit: uniform, base and trained."""

    def make(
        name: str,
        weight: float = 0.6,
        *,
        model: Mapping[str, Any] = SFT,
        corpus: str = "crema_d",
        readout: str = "logits",
        **where: Any,
    ) -> Path:
        folder, fold = tmp_path / "runs" / name, where.get("fold")
        classes = CLASSES[corpus]
        rows = answers(corpus, weight, seed=len(name), fold=fold)
        flat = [replace(p, predicted_dist=(1 / len(classes),) * len(classes), response=None) for p in rows]
        none = about(corpus, readout="none", reasoning="none", policy="every class equally likely")
        keep(folder / "evaluation/uniform", flat, corpus, none)
        base = answers(corpus, 0.2, seed=99, fold=fold)
        keep(folder / "evaluation/base", base, corpus, about(corpus, readout=readout))
        trained = about(corpus, readout=readout, policy=f"tiny, {name}")
        keep(folder / "evaluation/trained", rows, corpus, trained)
        (folder / "config.yaml").write_text(yaml.safe_dump(settings(model, name, **where)))
        return folder

    return make


@pytest.fixture
def make_evaluated(tmp_path: Path) -> Make:
    """Writes a folder as evaluate and baseline do."""

    def make(name: str, rows: list[Prediction], corpus: str = "crema_d", **changed: Any) -> Path:
        return keep(tmp_path / name, rows, corpus, about(corpus, **changed))

    return make
