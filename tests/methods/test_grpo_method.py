"""What GRPO and GRPOz sample, keep and train on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripted import MakeMethod, gradients, say

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.shala import Shala
from lalm_ambig.rollouts.passages import ScoredSpan, score_spans

FOUR = Grouping(group_size=4)
RESPONSES = (
    "<think>the voice is calm</think><answer> fear</answer>",
    "<think>loud</think><answer> anger</answer>",
    "the words",
    "<answer> sadness</answer>",
)


def test_before_any_update_ratios_are_one_and_the_clip_is_idle(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = on_policy(GRPO, grouping=FOUR)
    experience = method.gather(method.encoder(items))
    ratio = (experience.log_probs - experience.old_log_probs)[experience.mask].exp()
    assert torch.equal(ratio, torch.ones_like(ratio)), "in any precision: both are of the training pass"
    assert 0 <= float(method.values["rollouts/log_prob_mismatch"].mean()) < 1e-4, (
        "float32: sampling says the same"
    )
    assert float(method.reduce(experience).parts["clipped_share"]) == 0


def test_the_name_and_padding_are_left_out_of_the_loss(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(GRPO, grouping=FOUR, tokens=40)
    say(method.policy, monkeypatch, RESPONSES)
    experience = method.gather(method.encoder(items[:1]))
    decode = method.policy.tokenizer.decode
    groups = method.rollout_rows
    assert [row["response"] for row in groups] == list(RESPONSES)
    for k, text in enumerate(RESPONSES):
        ids = method.policy.text_ids(text)
        counted = [token for token, keep in zip(ids, experience.mask[0, k].tolist(), strict=False) if keep]
        name = next((n for n in (" fear", " anger", " sadness") if n in text), "")
        assert decode(counted) == text.replace(name, "", 1) if name else decode(counted) == text
    ends = [len(method.policy.text_ids(text)) for text in RESPONSES]
    stopped = [int(row.nonzero().max()) + 1 for row in experience.mask[0]]
    assert stopped == [ends[0], ends[1], ends[2] + 1, ends[3]], (
        "the end of the turn counts where it was sampled"
    )


def test_form_and_closing_are_judged(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(GRPO, grouping=FOUR, tokens=40)
    say(method.policy, monkeypatch, RESPONSES)
    method.gather(method.encoder(items[:1]))
    assert [row["format"] for row in method.rollout_rows] == [1, 1, 0, 0]
    assert [row["closed"] for row in method.rollout_rows] == [False, False, True, False]
    assert float(method.values["rollouts/well_formed"].mean()) == 0.5


@pytest.mark.parametrize("curated", [None, CuratedTrajectory()])
def test_the_shared_way_gives_the_plain_ways_loss_and_gradients(
    on_policy: MakeMethod, items: Sequence[Item], curated: CuratedTrajectory | None
) -> None:
    results = []
    for share in (True, False):
        method = on_policy(GRPO, grouping=FOUR, curated=curated, share_prompt=share)
        loss = method.reduce(method.gather(method.encoder(items))).total
        loss.backward()
        results.append((float(loss.detach()), gradients(method)))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-4)
    for name, plain in results[1][1].items():
        assert (results[0][1][name] - plain).abs().max() <= 1e-3 * plain.abs().max().clamp(min=1e-6), name


def test_one_step_favours_what_earned_more(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(GRPO, grouping=FOUR, objective=GRPOObjective(kl_weight=0.0))
    batch = method.encoder(items[:1])
    experience = method.gather(batch)
    best, worst = int(experience.advantages[0].argmax()), int(experience.advantages[0].argmin())
    before = (experience.log_probs * experience.mask).sum(-1)[0].detach()
    collected = method.rollout_buffer.get(batch, method.collect)
    method.reduce(experience).total.backward()
    with torch.no_grad():
        for parameter in method.policy.parameters():
            if parameter.grad is not None:
                parameter -= 0.02 * parameter.grad
        log_probs = method._scored(batch, collected, scores=False).log_probs.view(experience.mask.shape)
        after = (log_probs * experience.mask).sum(-1)[0]
    assert after[best] > before[best]
    assert after[worst] < before[worst]


def test_several_updates_reuse_the_same_responses_and_their_old_log_probs(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=3, updates=2), curated=CuratedTrajectory())
    batch = method.encoder(items)
    first = method.gather(batch)
    with torch.no_grad():
        for parameter in method.policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    second = method.gather(batch)
    assert torch.equal(first.mask, second.mask)
    assert torch.equal(first.old_log_probs, second.old_log_probs)
    assert not torch.allclose(first.log_probs, second.log_probs, atol=1e-3)
    assert not method.rollout_buffer.held, "both uses were made"
    assert not torch.equal(method.gather(batch).old_log_probs, first.old_log_probs)


def test_the_curated_response_earns_the_most_and_is_weighed_by_teacher_forcing(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = on_policy(GRPO, grouping=FOUR, curated=CuratedTrajectory())
    batch = method.encoder(items)
    experience = method.gather(batch)
    assert experience.advantages.shape == (4, 5)
    assert (experience.advantages.argmax(-1) == 4).all()
    assert float(method.values["curated_not_best"].mean()) == 0
    assert batch.curated is not None
    for row in range(4):
        length = int(batch.curated.response.mask[row].sum())
        ids = batch.curated.response.ids[row, :length]
        passage = ScoredSpan(row, ids, ~batch.curated.is_answer_token[row, :length])
        plain = score_spans(
            method.policy, batch, [passage], replace(method.pass_settings, share_prompt=False)
        )
        torch.testing.assert_close(
            experience.old_log_probs[row, 4, :length], plain.log_probs[0].detach(), atol=1e-4, rtol=1e-4
        )
        assert experience.mask[row, 4].sum() == (~batch.curated.is_answer_token[row, :length]).sum()


def test_the_curated_response_can_stay_out_of_loss_and_baseline(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    plain = on_policy(GRPO, grouping=FOUR)
    outside = on_policy(GRPO, grouping=FOUR, curated=CuratedTrajectory(in_baseline=False, in_loss=False))
    one, two = (m.gather(m.encoder(items)) for m in (plain, outside))
    torch.testing.assert_close(two.advantages[:, :4], one.advantages, atol=1e-3, rtol=1e-3)
    assert not two.mask[:, 4].any()


def test_under_the_policys_own_readout_the_curated_response_may_lose_and_that_is_counted(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = on_policy(
        GRPO, grouping=Grouping(group_size=8), curated=CuratedTrajectory(earns="policy"), moved=0.1
    )
    experience = method.gather(method.encoder(items))
    lost = (experience.advantages.argmax(-1) != 8).float().mean()
    assert float(method.values["curated_not_best"].mean()) == pytest.approx(float(lost))
    assert lost > 0


def test_the_penalty_is_zero_at_the_base_and_positive_away_from_it(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    for moved, positive in ((0.0, False), (0.05, True)):
        method = on_policy(GRPO, grouping=FOUR, moved=moved)
        experience = method.gather(method.encoder(items))
        assert experience.ref_log_probs is not None
        assert not experience.ref_log_probs.requires_grad
        penalty = float(method.reduce(experience).parts["kl_to_reference"])
        assert (penalty > 1e-3) == positive


def test_truncated_responses_can_be_left_out(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=4, mask_truncated=True), tokens=3)
    experience = method.gather(method.encoder(items))
    assert float(method.values["rollouts/truncated"].mean()) > 0.5
    assert experience.mask.any(-1).float().mean() == pytest.approx(
        1 - float(method.values["rollouts/truncated"].mean())
    )


def test_what_is_logged_names_spread_and_ambiguity(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(GRPO, grouping=FOUR)
    method.gather(method.encoder(items))
    assert {"reward", "reward/agreement", "reward/format", "groups_without_spread"} <= set(method.values)
    assert any(name.startswith("advantage_abs/") for name in method.values)
    assert float(method.values["groups_without_spread"].mean()) == 0


def test_memory_and_reference_survive_a_checkpoint(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=3, updates=3), reference="start")
    batch = method.encoder(items)
    first = method.gather(batch)
    saved: dict[str, object] = {"state_dict": {}}
    method.on_save_checkpoint(saved)
    other = on_policy(GRPO, grouping=Grouping(group_size=3, updates=3), reference="start", moved=0.0)
    other.on_load_checkpoint(saved)
    again = other.gather(batch)
    assert torch.equal(again.old_log_probs, first.old_log_probs)
    weights = method.reference.start_weights
    assert weights
    assert all(torch.equal(weight, weights[name]) for name, weight in other.reference.start_weights.items())


def test_responses_of_an_older_checkpoint_are_used_again(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    """The mask of the loss was once called `counted`."""
    method = on_policy(GRPO, grouping=Grouping(group_size=3, updates=2))
    batch = method.encoder(items)
    first = method.gather(batch)
    saved: dict[str, Any] = {"state_dict": {}}
    method.on_save_checkpoint(saved)
    (state,) = saved["memory"]
    for row in state.values():
        row["counted"] = row.pop("loss_mask")
    other = on_policy(GRPO, grouping=Grouping(group_size=3, updates=2))
    other.on_load_checkpoint(saved)
    assert torch.equal(other.gather(batch).mask, first.mask)


def test_a_deviation_over_the_batch_needs_two_prompts(on_policy: MakeMethod) -> None:
    method = on_policy(GRPO, grouping=Grouping(advantage_scale="batch"))
    method.check_data(step_items=2, items=2)
    with pytest.raises(InputError, match=r"has 1 prompt, but advantage_scale: batch compares at least 2"):
        method.check_data(step_items=1, items=9)
    with pytest.raises(InputError, match=r"there is 1 training item, but advantage_scale: batch"):
        method.check_data(step_items=2, items=1)
    on_policy(GRPO, grouping=FOUR).check_data(step_items=1, items=1)


def test_items_on_which_every_reward_is_zero_are_refused(on_policy: MakeMethod) -> None:
    """SHALA weighs by disagreement, and one vote per item has none."""
    alone, two = torch.eye(6), torch.tensor([[0.5, 0.5, 0.0, 0.0, 0.0, 0.0]])
    shala = on_policy(GRPO, grouping=FOUR, rewards=[Shala()])
    with pytest.raises(
        InputError, match=r"reward shala is 0 on each of the 6 training items, .*take agreement"
    ):
        shala.check_data(step_items=4, items=6, label_dist=alone)
    shala.check_data(step_items=4, items=7, label_dist=torch.cat([alone, two]))
    for rewards in ([Shala(), Format()], [Shala(ambiguity=False)], [Agreement()]):
        on_policy(GRPO, grouping=FOUR, rewards=rewards).check_data(step_items=4, items=6, label_dist=alone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"grouping": Grouping(group_size=1)},
            r"a group of 1 has nothing to be compared with: set group_size to 2",
        ),
        (
            {"grouping": Grouping(group_size=1, advantage_scale="batch")},
            "a group of 1 has nothing to be compared",
        ),
        (
            {"grouping": Grouping(group_size=1), "curated": CuratedTrajectory(in_baseline=False)},
            "a group of 1 has nothing to be compared",
        ),
        ({"reasoning": False}, "without reasoning a response holds only the class name"),
        ({"rewards": []}, "no reward has a weight"),
        ({"rewards": [Agreement(weight=0.0)]}, "no reward has a weight"),
        ({"rewards": [Format(), Format()]}, "a reward stands twice"),
    ],
)
def test_settings_that_teach_nothing_are_refused_before_the_first_step(
    on_policy: MakeMethod, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        on_policy(GRPO, **settings)
    assert "\n" not in str(raised.value)


def test_a_curated_response_is_enough_to_compare_one_with(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=1), curated=CuratedTrajectory())
    experience = method.gather(method.encoder(items))
    assert (experience.advantages[:, 1] > 0).all()


@pytest.mark.parametrize(("mismatch", "told"), [(0.31, 1), (0.29, 0)])
def test_sampling_that_is_not_the_policys_is_told_once(
    on_policy: MakeMethod, capsys: pytest.CaptureFixture[str], mismatch: float, told: int
) -> None:
    method = on_policy(GRPO, grouping=FOUR)
    method.step_metrics.values = {"train/rollouts/log_prob_mismatch": torch.tensor(mismatch)}
    for _ in range(2):
        method.on_train_batch_end()
    assert capsys.readouterr().err.count("disagree by 0.31 nats") == told
