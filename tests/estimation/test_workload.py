"""Token counts of a step of each method, and the source of its lengths."""

from dataclasses import replace
from pathlib import Path

import pytest

from lalm_ambig.config.estimate_option import Assumptions
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.corpora.preparing.prepared import load_prepared, prepare
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.estimation.lengths import lengths_of
from lalm_ambig.estimation.shapes import AudioEncoderShape
from lalm_ambig.estimation.workload import Lengths, Workload, workload
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.sampling import Sampling

LENGTHS = Lengths(prompt=100, audio=60, curated=30)
TWENTY = Sampling(max_new_tokens=20)
HEARS = AudioEncoderShape(layers=2, hidden=8, intermediate=16, features=8, longest=100)


@pytest.mark.parametrize(
    ("method", "responses", "tokens", "rollouts"),
    [
        (SFT(Tiny()), (30,), 2 * (100 + 30), 0),
        (GRPO(Tiny(), grouping=Grouping(group_size=3), sampling=TWENTY), (20, 20, 20), 2 * (100 + 60), 3),
        (
            GRPO(Tiny(), grouping=Grouping(group_size=3), sampling=TWENTY, share_prompt=False),
            (20, 20, 20),
            2 * 3 * (100 + 20),
            3,
        ),
        (
            GRPO(Tiny(), grouping=Grouping(group_size=3), sampling=TWENTY, curated=CuratedTrajectory()),
            (20, 20, 20, 30),
            2 * (100 + 60 + 30),
            3,
        ),
        (DPO(Tiny(), negatives=Negatives(group_size=4), sampling=TWENTY), (30, 20), 2 * (100 + 50), 4),
        (
            DPO(Tiny(), negatives=Negatives(group_size=4, choose="all"), sampling=TWENTY),
            (30, 20, 20, 20, 20),
            2 * (100 + 110),
            4,
        ),
        (
            SFT(Tiny(), objective=SFTObjective(on_policy_kl_weight=1.0), group_size=2, sampling=TWENTY),
            (30, 20, 20),
            2 * (100 + 70),
            2,
        ),
        (
            SFT(Tiny(), objective=SFTObjective(0.0, 0.0, on_policy_kl_weight=1.0), sampling=TWENTY),
            (20,),
            2 * (100 + 20),
            1,
        ),
        (
            DPO(Tiny(), objective=DPOObjective(class_mass_weight=1.0), sampling=TWENTY),
            (30, 20, 20, 20, 20),
            2 * (100 + 110),
            4,
        ),
        (
            GRPO(
                Tiny(),
                grouping=Grouping(group_size=2),
                sampling=TWENTY,
                objective=GRPOObjective(curated_ce_weight=1.0),
            ),
            (20, 20, 30),
            2 * (100 + 70),
            2,
        ),
    ],
    ids=[
        "sft",
        "grpo",
        "grpo, plain",
        "grpoz",
        "dpo",
        "dpo, all",
        "sft, own",
        "sft, only own",
        "dpo, own",
        "grpo, imitating",
    ],
)
def test_a_step_of_two_items(method: Method, responses: tuple[int, ...], tokens: int, rollouts: int) -> None:
    step = workload(method, LENGTHS, items=2)
    assert (step.responses, step.tokens, step.rollouts) == (responses, tokens, rollouts)
    assert step.counted == 2 * sum(responses)
    assert not step.keeps_start


def test_the_reference_at_the_start_is_a_copy() -> None:
    assert workload(GRPO(Tiny(), reference="start"), LENGTHS, items=1).keeps_start


def test_lengths_are_assumed_until_the_corpus_was_checked(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data, method = DataModule(Demo(demo_root)), SFT(Tiny())
    assert load_prepared(data.corpus) is None
    before, line = lengths_of(method, data, HEARS, Assumptions())
    assert before.audio == 100  # 30 s are cut to what the encoder hears
    assert "assumed, since the corpus was not checked yet" in line
    items = list(prepare(data.corpus, quiet=True).items("train"))
    after, line = lengths_of(method, data, HEARS, Assumptions())
    assert "the corpus's longest" in line
    assert after.audio == min(100, round(25 * max(item.duration_s for item in items)))
    assert after.curated == max(len(item.rationale or "") for item in items) // 4 + 16
    heard = lengths_of(method, DataModule(Demo(demo_root), rationale_part="heard"), HEARS, Assumptions())[0]
    parts = [data.corpus.heard_part(item.rationale or "") or "" for item in items]
    assert heard.curated == max(map(len, parts)) // 4 + 16 < after.curated
    assumptions = Assumptions(prompt_tokens=50.0, clip_s=1.0, curated_tokens=9.0)
    assert lengths_of(method, data, HEARS, assumptions)[0] == Lengths(prompt=75, audio=25, curated=9)
    assert lengths_of(method, data, None, assumptions)[0] == Lengths(prompt=50, audio=0, curated=9)


def test_a_corpus_that_is_not_there_is_no_hindrance(tmp_path: Path) -> None:
    data = DataModule(Demo(tmp_path / "none"))
    lengths, _ = lengths_of(SFT(Tiny()), data, None, Assumptions())
    assert lengths.curated == 200 + 16
    assert not (tmp_path / "none").exists()


def test_what_all_prompts_begin_with_is_computed_once_where_prompts_are_shared() -> None:
    work = Workload(items=4, prompt=100, audio=0, responses=(10, 10), common=60)
    assert work.tokens == 60 + 4 * (40 + 20)
    assert replace(work, shares=False).tokens == 4 * 2 * (100 + 10)
