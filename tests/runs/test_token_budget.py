"""The budget for the policy's own text beside the length of the curated ones."""

from pathlib import Path

import pytest

from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.runs.batch_checks.token_budget import budget_line
from lalm_ambig.runs.session import connect


def test_a_limit_that_cuts_is_named_with_the_share_that_it_cuts() -> None:
    line = budget_line(
        [100, 200, 256, 257, 300], {"model.generation.max_new_tokens": 256, "model.sampling": 280}
    )
    assert "256 tokens in the median, at most 300" in line
    assert "40.0% of them at model.generation.max_new_tokens 256, 20.0% of them at model.sampling 280" in line
    assert line.endswith("300 cuts none")


def test_a_limit_that_is_just_enough_cuts_nothing() -> None:
    line = budget_line([100, 256], {"model.generation.max_new_tokens": 256})
    assert line.endswith("all within model.generation.max_new_tokens 256")


@pytest.mark.parametrize("sampled", [False, True])
def test_a_run_that_reasons_says_at_its_start_how_much_would_be_cut(
    demo_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    cache_home: Path,
    capsys: pytest.CaptureFixture[str],
    sampled: bool,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    few, enough = Generation(max_new_tokens=8), Sampling(max_new_tokens=500)
    method = GRPO(Tiny(), generation=few, sampling=enough) if sampled else SFT(Tiny(), generation=few)
    data = DataModule(open_corpus("demo", demo_root), prompt="speech_emotion_short", limit=6)
    connect(method, data, training=True)
    said = capsys.readouterr().err
    assert "100.0% of them at model.generation.max_new_tokens 8;" in said, "and not at the other limit"


def test_a_run_without_reasoning_says_nothing_of_it(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch, cache_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    data = DataModule(open_corpus("demo", demo_root), prompt="speech_emotion_short", limit=6)
    connect(SFT(Tiny(), reasoning=False), data, training=True)
    assert "curated texts" not in capsys.readouterr().err
