"""Every method with a distribution that the response states in words."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripted import MakeMethod, gradients, say
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.core.distributions import js_distance, normalised_entropy
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Groups, Item
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.majority import MajorityLabel
from lalm_ambig.rewards.shala import Shala
from lalm_ambig.rollouts.parsing import read_stated

GOOD = '{"anger": 0.3, "fear": 0.1, "neutral": 0.6}'
POOR = '{"happiness": 1}'
RESPONSES = (GOOD, "mostly neutral", POOR, '{"anger": -1, "neutral": 2}')
FREE = GRPOObjective(kl_weight=0.0)
FOUR = Grouping(group_size=4)


def shala(on_policy: MakeMethod, **settings: Any) -> GRPO:
    defaults = {"rewards": [Shala()], "objective": FREE, "grouping": FOUR, "tokens": 60}
    method: GRPO = on_policy(GRPO, readout="verbalised", **{"reasoning": False, **defaults, **settings})
    return method


def test_responses_are_parsed_and_judged(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = shala(on_policy, rewards=[Shala(), Format(weight=0.1)])
    say(method.policy, monkeypatch, RESPONSES)
    experience = method.gather(method.encoder(items[:1]))
    assert [row["response"] for row in method.rollout_rows] == list(RESPONSES)
    assert [row["unparsed"] for row in method.rollout_rows] == [None, "no object", None, "negative"]
    assert [row["format"] for row in method.rollout_rows] == [1, 0, 1, 0]
    assert method.rollout_rows[0]["predicted_dist"] == [0.3, 0, 0.1, 0, 0.6, 0]
    label = torch.tensor(items[0].label_dist)
    expected = normalised_entropy(label) * (1 - js_distance(label, torch.tensor([0, 0, 0, 1.0, 0, 0])))
    assert [row["shala"] for row in method.rollout_rows] == pytest.approx(
        [float(normalised_entropy(label)), 0, float(expected), 0], abs=1e-3
    )
    assert int(experience.advantages[0].argmax()) == 0
    values = {name: float(value.mean()) for name, value in method.values.items()}
    assert values["rollouts/parsed"] == 0.5
    assert values["rollouts/unparsed/no_object"] == values["rollouts/unparsed/negative"] == 0.25
    assert values["rollouts/unparsed/all_zero"] == 0
    js = [row["js_div_bits"] for row in method.rollout_rows]
    assert js[1] == js[3] == 1
    assert values["rollouts/js_div_bits"] == pytest.approx((js[0] + js[2]) / 2, abs=1e-4)


def test_the_answer_itself_is_trained_on(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = shala(on_policy)
    say(method.policy, monkeypatch, RESPONSES)
    experience = method.gather(method.encoder(items[:1]))
    ends = [len(method.policy.text_ids(text)) + 1 for text in RESPONSES]
    assert experience.mask[0].sum(-1).tolist() == ends, "every token, and the end of the turn"


@pytest.mark.parametrize("failing", [0, 1, 5, 10])
def test_training_goes_on_whatever_share_of_responses_cannot_be_read(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """0, 10, 50 and 100 %: a failing response is never the best of its group, and the logs say why it failed."""
    good = [f'{{"neutral": 0.{n}, "anger": 0.{9 - n}}}' for n in range(1, 10)] + [GOOD]
    responses = [good[n] if n >= failing else f'{{"neutral": {n},}}' for n in range(10)]
    for rewards in ([Shala()], [MajorityLabel()], [Agreement(), Format()]):
        method = shala(on_policy, rewards=rewards, grouping=Grouping(group_size=10))
        say(method.policy, monkeypatch, responses)
        experience = method.gather(method.encoder(items[:1]))
        loss = method.reduce(experience).total
        loss.backward()
        assert math.isfinite(float(loss.detach()))
        assert all(grad.isfinite().all() for grad in gradients(method).values())
        assert float(method.values["rollouts/parsed"].mean()) == pytest.approx(1 - failing / 10)
        assert float(method.values["rollouts/unparsed/no_object"].mean()) == pytest.approx(failing / 10)
        advantage = experience.advantages[0]
        if failing in (0, 10):
            assert bool(advantage.any()) == (failing == 0)
        else:
            assert advantage[:failing].max() < advantage[failing:].max()
            assert int(advantage.argmax()) >= failing


def test_within_a_group_the_weight_cancels_and_over_a_batch_it_acts(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Advantages with and without H̃, on the same responses."""
    batch = [items[0], items[2]]
    responses = [GOOD, POOR, '{"neutral": 1}', '{"fear": 1}'] * 2
    entropy = normalised_entropy(torch.tensor([item.label_dist for item in batch]))[:, None]
    advantage = {}
    for scale in ("group", "batch", "none"):
        for ambiguity in (True, False):
            grouping = replace(FOUR, advantage_scale=scale)
            method = shala(on_policy, rewards=[Shala(ambiguity=ambiguity)], grouping=grouping)
            say(method.policy, monkeypatch, responses)
            advantage[scale, ambiguity] = method.gather(method.encoder(batch)).advantages
    torch.testing.assert_close(advantage["group", True], advantage["group", False], atol=5e-3, rtol=0)
    torch.testing.assert_close(advantage["none", True], advantage["none", False] * entropy)
    ratio = advantage["batch", True] / advantage["batch", False]
    assert float((ratio[0] / ratio[1]).mean()) == pytest.approx(float(entropy[0] / entropy[1]), rel=1e-3)
    assert float(entropy[0] / entropy[1]) < 0.6


def test_the_user_is_told_that_the_weight_cancels(on_policy: MakeMethod) -> None:
    (line,) = shala(on_policy).notes()
    assert "divides it out again" in line
    assert "advantage_scale to batch" in line
    assert not shala(on_policy, grouping=replace(FOUR, advantage_scale="batch")).notes()
    assert not shala(on_policy, rewards=[Shala(ambiguity=False)]).notes()
    assert not shala(on_policy, rewards=[Shala(), Format(weight=0.1)]).notes()
    assert shala(on_policy, rewards=[Shala(), Format(weight=0.0)]).notes()


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_skipping_unanimous_items_changes_nothing_but_the_work(
    on_policy: MakeMethod, items: Sequence[Item], scale: Any
) -> None:
    """Item 1 has one class: the loss and its gradients are those of the run that samples for it as well."""
    results = []
    for skip in (False, True):
        grouping = Grouping(group_size=4, advantage_scale=scale, skip_unanimous=skip)
        method = shala(on_policy, rewards=[Varied()], grouping=grouping, tokens=8)
        loss = method.reduce(method.gather(method.encoder(items))).total
        loss.backward()
        results.append((float(loss.detach()), gradients(method), {row["id"] for row in method.rollout_rows}))
    (loss, grads, ids), (skipped_loss, skipped_grads, skipped_ids) = results
    assert ids == {item.id for item in items}
    assert skipped_ids == ids - {"i1"}
    assert skipped_loss == pytest.approx(loss, abs=1e-6)
    assert any(bool(grad.any()) for grad in grads.values())
    for name, grad in grads.items():
        torch.testing.assert_close(skipped_grads[name], grad, atol=1e-5, rtol=1e-3)


class Varied(Shala):
    """SHALA's weight on numbers that a random policy's responses do differ in, whether they can be read or not."""

    def __call__(self, groups: Groups, label_dist: torch.Tensor) -> torch.Tensor:
        return normalised_entropy(label_dist)[:, None] * (groups.ids.float().mean(-1) % 1)


def test_a_batch_of_unanimous_items_samples_nothing_and_moves_nothing(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = shala(on_policy, grouping=replace(FOUR, skip_unanimous=True))
    loss = method.reduce(method.gather(method.encoder(items[1:2]))).total
    loss.backward()
    assert float(loss.detach()) == 0
    assert not any(bool(grad.any()) for grad in gradients(method).values())
    assert method.rollout_rows == []
    assert float(method.values["groups_skipped"].mean()) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rewards": [Shala(), Format()]}, "reward format is not 0 where annotators agree"),
        ({"rewards": [Shala(ambiguity=False)]}, "reward shala is not 0"),
        ({"objective": GRPOObjective(kl_weight=0.04)}, "kl_weight .0.04. acts on every response"),
    ],
)
def test_skipping_is_refused_where_something_could_be_learnt(
    on_policy: MakeMethod, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        shala(on_policy, grouping=replace(FOUR, skip_unanimous=True), **settings)


def test_sft_teaches_the_json_of_p(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    policy = make_policy()
    for reasoning in (False, True):
        method = SFT(policy, objective=SFTObjective(1.0, 0.0), reasoning=reasoning, readout="verbalised")
        method.attach(make_encoder(policy, reasoning=reasoning, readout="verbalised"))
        batch = method.encoder(items[:2])
        assert batch.curated is not None
        response = batch.curated.response
        first = policy.tokenizer.decode(response.ids[0][response.mask[0]])
        stated = '{"anger": 0.30, "disgust": 0.00, "fear": 0.10, "happiness": 0.00, "neutral": 0.60, "sadness": 0.00}'
        lead = f"{items[0].rationale}\n" if reasoning else ""
        assert first.startswith(lead + stated)
        assert not batch.curated.is_answer_token.any()
        experience = method.gather(batch)
        assert experience.mask.sum(-1).tolist() == response.mask.sum(-1).tolist()
        loss = method.reduce(experience)
        assert set(loss.parts) == {"ce"}
        assert float(loss.total.detach()) > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda policy: SFT(policy, readout="verbalised"),
        lambda policy: DPO(policy, readout="verbalised"),
    ],
)
def test_a_divergence_of_text_is_refused(make_policy: MakePolicy, make: Any) -> None:
    with pytest.raises(
        InputError, match=r"a verbalised distribution has no gradient: .* or readout to logits"
    ):
        make(make_policy())


def test_dpo_rejects_what_is_far_off_or_cannot_be_read(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {
        "objective": DPOObjective(kl_weight=0.0),
        "readout": "verbalised",
        "tokens": 60,
    }
    for choose, expected in (("all", [0, 1, 1, 1]), ("worst", [0, 1, 0, 0])):
        negatives = Negatives(group_size=4, choose=choose)
        method = on_policy(DPO, negatives=negatives, reasoning=False, **settings)
        say(method.policy, monkeypatch, RESPONSES)
        experience = method.gather(method.encoder(items[:1]))
        assert [row["rejected"] for row in method.rollout_rows] == expected
        assert int(experience.is_pair.sum()) == sum(expected)
        loss = method.reduce(experience)
        assert "kl" not in loss.parts
        loss.total.backward()
        assert any(bool(grad.any()) for grad in gradients(method).values())


@pytest.mark.parametrize("earns", ["perfect", "policy"])
def test_the_curated_trajectory_states_p(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch, earns: Any
) -> None:
    for reasoning in (False, True):
        method = shala(on_policy, curated=CuratedTrajectory(earns=earns), reasoning=reasoning)
        say(method.policy, monkeypatch, RESPONSES)
        experience = method.gather(method.encoder(items[:1]))
        assert experience.advantages.shape == (1, 5)
        assert float(experience.advantages[0, 4]) == pytest.approx(
            float(experience.advantages.max()), abs=1e-5
        )


def test_evaluation_parses_greedy_text(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy()
    say(policy, monkeypatch, [GOOD, "no"])
    encoder = make_encoder(policy, reasoning=False, readout="verbalised")
    reading = read_stated(encoder, encoder(items[:2]), max_new_tokens=60)
    assert reading.unparsed == (None, "no object")
    assert reading.parsed.tolist() == [True, False]
    assert reading.class_mass is None
    assert reading.predicted_dist[0].tolist() == pytest.approx([0.3, 0, 0.1, 0, 0.6, 0])
    assert reading.predicted_dist[1].tolist() == pytest.approx([1 / 6] * 6)
    cut = read_stated(encoder, encoder(items[:2]), max_new_tokens=3)
    assert cut.unparsed == ("no object", "no object")


def test_without_reasoning_a_logit_readout_still_has_nothing_to_learn(on_policy: MakeMethod) -> None:
    with pytest.raises(InputError, match=r"holds only the class name.*readout to verbalised"):
        on_policy(GRPO, reasoning=False)


def test_only_what_is_cut_before_it_states_anything_counts_as_truncated(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = '{"fear": 1}'
    method = shala(on_policy, tokens=len(short) + 4)
    say(method.policy, monkeypatch, [short + " " + "x" * 90, "x" * 90, short, "x"])
    (collected,) = method.collect([method.encoder(items[:1])])
    assert [row["unparsed"] for row in method.rollout_rows] == [None, "no object", None, "no object"]
    assert float(method.values["rollouts/truncated"].mean()) == 0.25
    assert collected.loss_mask.any(-1).all()
