"""The probe, on made-up features and on those of a tiny policy."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_model import MakeEncoder, MakePolicy, nudge
from torch import Tensor

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.baselines.base import BaselineInputs, Features
from lalm_ambig.baselines.pooled import PooledFeatures
from lalm_ambig.baselines.probe import Probe
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Split
from lalm_ambig.data.feature_cache import cached_features
from lalm_ambig.policies.tiny import Tiny


class VotesLeak(Features):
    """Features of which the first is the log odds that people gave, found by the item's id."""

    meaning = "log odds"

    def __call__(self, items: Sequence[Item]) -> Tensor:
        shares = torch.tensor([(float(item.id.split()[1]) + 1) / 12 for item in items])
        return torch.stack([shares.logit(), torch.arange(len(items)) % 3], dim=1)


def judged(split: Split, count: int = 11) -> list[Item]:
    return [Item(f"{split} {n}", (n + 1.0, 11.0 - n), speaker="s", split=split) for n in range(count)]


def known(split: Split = "test", **changes: object) -> BaselineInputs:
    votes = torch.tensor([item.votes for item in judged("train")])
    every = BaselineInputs(judged(split), judged("train"), judged("validation"), votes, features=VotesLeak())
    return replace(every, **changes)  # type: ignore[arg-type]


def test_it_finds_what_is_linear_in_the_features_and_says_how() -> None:
    answered = Probe().answer(known())
    for item, row in zip(judged("test"), answered.predictions, strict=True):
        assert row.predicted_dist == pytest.approx(item.label_dist, abs=0.01)
        assert (row.id, row.votes, row.label_dist, row.speaker) == (item.id, item.votes, item.label_dist, "s")
    assert answered.meaning.startswith(
        "soft-label regression on 2 features (log odds), L2 0.0001 of 13 by KL on 11 v"
    )
    assert answered.notes == ("the L2 penalty chosen, 0.0001, is at the end of those tried",)


@pytest.mark.parametrize(
    ("split", "note"),
    [("train", "fitted on these items"), ("validation", "the L2 penalty was chosen on these items")],
)
def test_a_split_that_it_has_seen_is_noted(split: Split, note: str) -> None:
    assert note in Probe().answer(known(split)).notes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": None}, "probe: there is no policy whose features"),
        ({"train": []}, "probe: there is no train item"),
        ({"validation": []}, "probe: there is no validation item"),
        ({"train": judged("test")}, "probe: item test 0 is of split test, not train"),
    ],
)
def test_what_it_cannot_learn_from_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Probe().answer(known(**changes))


def test_a_clip_is_the_mean_of_the_encoders_features(
    tiny: Tiny, make_encoder: MakeEncoder, items: Sequence[Item], tmp_path: Path
) -> None:
    encoder = make_encoder(tiny)
    encoder.features = cached_features(tiny, items, tmp_path)
    pooled = PooledFeatures(encoder, items)
    with torch.no_grad():
        heard = [tiny.encode_audio([tiny.log_mel(read_audio(str(i.audio)))])[0].mean(0) for i in items]
    torch.testing.assert_close(pooled(items), torch.stack(heard).double(), atol=1e-5, rtol=1e-4)
    assert "audio encoder's features of tiny" in pooled.meaning


def silent(items: Sequence[Item]) -> list[Item]:
    return [replace(item, audio=None, text=str(item.text) * (9 - 2 * n)) for n, item in enumerate(items)]


def test_a_text_is_the_mean_of_its_own_states_whatever_stands_in_its_batch(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    policy = make_policy()
    texts = silent(items)
    encoder = make_encoder(policy, reasoning=False)
    pooled = PooledFeatures(encoder, texts)
    with torch.no_grad():
        for row, item in zip(pooled(texts), texts, strict=True):
            prompt = encoder([item]).prompt
            states = policy.hidden(policy.embed(prompt), prompt.mask)[0]
            torch.testing.assert_close(row, states.mean(0).double(), atol=1e-5, rtol=1e-4)
    assert "last hidden states of tiny" in pooled.meaning


def test_what_an_adapter_has_learnt_changes_nothing(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    policy, texts = make_policy(), silent(items)
    encoder = make_encoder(policy, reasoning=False)
    before = PooledFeatures(encoder, texts)(texts)
    nudge(policy)
    torch.testing.assert_close(PooledFeatures(encoder, texts)(texts), before)
    prompt = encoder(texts).prompt
    with torch.no_grad():
        moved = policy.hidden(policy.embed(prompt), prompt.mask)
        with policy.adapter_off():
            still = policy.hidden(policy.embed(prompt), prompt.mask)
    assert not torch.allclose(moved, still, atol=1e-3), "the adapter would have made a difference"


def test_clips_beside_silent_items_are_refused(
    tiny: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    mixed = [items[0], replace(items[1], audio=None)]
    with pytest.raises(InputError, match=r"probe: item i0 has audio and item i1 has none"):
        PooledFeatures(make_encoder(tiny), mixed)
