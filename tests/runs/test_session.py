"""What is refused before any weights are loaded, and what the data learns of the method."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.optimisation import Optimiser
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rewards.shala import Shala
from lalm_ambig.runs.session import TrainedWeights, connect, standardise, weights_of_start


def never(*_: object) -> None:
    raise AssertionError("weights were loaded")


def batch_scaled(policy: Tiny) -> GRPO:
    return GRPO(
        policy,
        rewards=[Shala()],
        objective=GRPOObjective(kl_weight=0.0),
        grouping=Grouping(group_size=2, advantage_scale="batch"),
        reasoning=False,
        readout="verbalised",
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 1}, "an update has 1 prompt, but advantage_scale: batch compares at least 2"),
        ({"limit": 1}, "there is 1 training item, but advantage_scale: batch compares at least 2"),
        ({"prompt": "nope"}, "no prompt 'nope'"),
    ],
)
def test_data_that_a_method_cannot_learn_from_is_refused_before_weights_are_loaded(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(Tiny, "load", never)
    data = DataModule(open_corpus("demo", demo_root), **{"prompt": "speech_emotion_short", **settings})
    with pytest.raises(InputError, match=message):
        connect(batch_scaled(Tiny()), data, training=True)


def test_samples_that_would_all_be_the_same_are_refused_before_weights_are_loaded(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tiny, "load", never)
    method = SFT(Tiny(), reasoning=False, generation=Generation(samples=3))
    with pytest.raises(InputError, match="without reasoning every sample is the same"):
        connect(method, DataModule(open_corpus("demo", demo_root)), training=True)


def test_no_batch_has_fewer_items_than_the_method_compares(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    corpus = open_corpus("demo", demo_root)
    data = DataModule(corpus, batch_size=4, limit=5, prompt="speech_emotion_short", cache_features=False)
    data = connect(batch_scaled(Tiny()), data, training=True)
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, accumulate_grad_batches=1)  # type: ignore[assignment]
    assert sorted(len(batch.items) for batch in data.train_dataloader()) == [2, 4]


def test_training_goes_on_from_a_run_or_from_an_adapter_by_itself(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "adapter").mkdir(parents=True)
    (run / "config.yaml").write_text("")
    assert weights_of_start(run) == run / "adapter"
    (run / "adapter/adapter_config.json").write_text("{}")
    assert weights_of_start(run / "adapter") == run / "adapter"
    (run / "environment.json").write_text("{}")
    (run / "checkpoints").mkdir()
    with pytest.raises(InputError, match=f"model.start: .*checkpoints is not a run folder.* give {run}"):
        weights_of_start(run / "checkpoints")
    with pytest.raises(
        InputError, match=r"is not a run folder: it has no config.yaml. Give a folder that fit printed"
    ):
        weights_of_start(tmp_path)


def test_a_side_path_without_a_clip_to_learn_from_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    rows = ['{"categories": ["anger", "neutral"]}']
    for n in range(12):
        split = ("train", "validation", "test")[n % 3]
        rows.append(f'{{"id": "i{n}", "text": "words {n}", "votes": {{"anger": 2}}, "split": "{split}"}}')
    file = tmp_path / "texts.jsonl"
    file.write_text("\n".join(rows) + "\n")
    data = DataModule(open_corpus("jsonl", file))
    method = SFT(Tiny(audio_layers=[0]), objective=SFTObjective(0.0, 1.0), reasoning=False)
    with pytest.raises(InputError, match=r"no training item has sound.*: set it to last"):
        connect(method, data, training=True)
    assert len(connect(method, data).items("test")) == 4  # to be evaluated is no fault


def test_moments_are_taken_without_a_cache_where_none_is_wanted(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    method = SFT(Tiny(audio_layers=[0, 1]), objective=SFTObjective(0.0, 1.0), reasoning=False)
    data = DataModule(open_corpus("demo", demo_root), limit=4, cache_features=False, feature_cache_gb=1e-9)
    data = connect(method, data, training=True)
    standardise(method, data)
    assert isinstance(method.policy, Tiny) and bool(method.policy.side_path.mean.any())
    assert not list(tmp_path.rglob("features-*"))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_none_is_refused(demo_root: Path, limit: float) -> None:
    with pytest.raises(InputError, match="data: feature_cache_gb must be positive, got"):
        DataModule(open_corpus("demo", demo_root), feature_cache_gb=limit)


def test_a_rate_of_no_side_path_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"side_path_learning_rate: the policy has no side path: set policy.audio"
    ):
        SFT(Tiny(), optimiser=Optimiser(side_path_learning_rate=1e-3))
    with pytest.raises(InputError, match="side_path_learning_rate must be positive, got inf"):
        Optimiser(side_path_learning_rate=float("inf"))


def test_earlier_ratings_in_other_words_than_the_policy_has_learnt_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setattr(Tiny, "load", never)
    rows = [
        {"id": str(n), "text": f"text {n}", "annotators": {"a": ("joy", "fear")[n % 2]}} for n in range(20)
    ]
    (tmp_path / "items.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    learnt = TrainedWeights(None, CategorySet(("fear", "happiness")))
    data = DataModule(JsonLines(tmp_path / "items.jsonl"), annotators="each")
    message = r"earlier ratings of annotators say 'joy', and the policy has learnt 'happiness': .*-examples 0"
    with pytest.raises(InputError, match=message):
        connect(SFT(Tiny(), reasoning=False), data, weights=learnt)
    silent = DataModule(JsonLines(tmp_path / "items.jsonl"), annotators="each", annotator_examples=0)
    with pytest.raises(AssertionError, match="weights were loaded"):
        connect(SFT(Tiny(), reasoning=False), silent, weights=learnt)
