"""Which split each number that is fitted comes from: never the one that is tested on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small_model import MakePolicy

from lalm_ambig.config.cli import parse
from lalm_ambig.core.types import Split
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.data.feature_cache import FeatureCache
from lalm_ambig.evaluation.predictions import Prediction, write_predictions
from lalm_ambig.evaluation.temperature import fit_temperature
from lalm_ambig.methods.sft import SFT
from lalm_ambig.runs import rows as rows_of_evaluate
from lalm_ambig.runs import session
from lalm_ambig.runs.loading import Loaded
from lalm_ambig.runs.rows import EvaluationRows


def sure(items: Sequence[Any], share: float) -> list[Prediction]:
    """The majority class of every item gets that share."""
    found = []
    for item in items:
        rest = (1 - share) / (len(item.votes) - 1)
        dist = tuple(share if n == item.majority else rest for n in range(len(item.votes)))
        found.append(
            Prediction(
                item.id, item.split, item.speaker, item.votes, item.label_dist, dist, 0.5, "<answer>", False
            )
        )
    return found


def test_the_temperature_is_fitted_on_validation_and_applied_to_the_test(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_policy: MakePolicy
) -> None:
    data = DataModule(open_corpus("demo", demo_root))
    data.setup()
    answers: dict[Split, list[Prediction]] = {
        "validation": sure(data.items("validation"), 0.98),
        "test": sure(data.items("test"), 0.3),
    }
    asked: list[str] = []

    def predict(_: Any, __: Any, ___: Any, split: Split) -> list[Prediction]:
        asked.append(split)
        return answers[split]

    monkeypatch.setattr(rows_of_evaluate, "predict", predict)
    monkeypatch.setattr(rows_of_evaluate, "single_device_trainer", lambda _: None)
    cli = parse([])
    cli.model, cli.datamodule = SFT(make_policy(), reasoning=False), data
    loaded = Loaded(cli, None, "run")
    write_predictions(tmp_path / "predictions.jsonl", answers["test"])
    [(label, results)] = EvaluationRows(loaded, data, None, "test", tmp_path).scaled(1).items()
    assert asked == ["validation"]
    expected = fit_temperature(answers["validation"])
    assert results.about.temperature == pytest.approx(expected)
    assert abs(expected - fit_temperature(answers["test"])) > 0.5, "the two splits want another one"
    assert label == f"run, temperature {expected:.2f}"


def test_a_projector_is_standardised_on_the_training_clips(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch, make_policy: MakePolicy, tmp_path: Path
) -> None:
    data = DataModule(open_corpus("demo", demo_root))
    data.setup()
    heard: list[list[str]] = []

    def moments(_: FeatureCache, clips: Sequence[str], __: object) -> tuple[torch.Tensor, torch.Tensor]:
        heard.append(list(clips))
        return torch.zeros(128), torch.ones(128)

    monkeypatch.setattr(FeatureCache, "moments", moments)
    encoder = Encoder.__new__(Encoder)  # of which only the features are asked for
    encoder.features = FeatureCache(tmp_path, 128, torch.float32, {})
    data = data.encoded_by(encoder)
    model = SFT(make_policy(projector=True, standardise_audio=True), reasoning=False)
    session.standardise(model, data)
    assert heard == [[str(item.audio) for item in data.items("train")]]
    model.start = tmp_path
    session.standardise(model, data)
    assert len(heard) == 1, "a start's projector is trained already"
