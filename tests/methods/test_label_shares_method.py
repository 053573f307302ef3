"""GRPO on the classes that responses name: which are read, what is trained, and the settings that are refused."""

from collections.abc import Sequence

import pytest
import torch
from scripted import MakeMethod, say

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.methods.curated_trajectory import CuratedTrajectory
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.objectives.advantages import Scale, advantages
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.label_shares import LabelShares, pseudo_values

RESPONSES = (
    "<think>the voice is calm</think><answer> fear</answer>",
    "<think>loud</think><answer> anger</answer>",
    "the words",
    "<answer> Fear</answer>",
    "<answer> joyful</answer>",
)


def grouping(size: int = 5, *, scale: Scale = "leave_one_out", name_in_loss: bool = True) -> Grouping:
    return Grouping(group_size=size, advantage_scale=scale, name_in_loss=name_in_loss)


def test_named_classes_are_read_and_their_tokens_trained(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(GRPO, grouping=grouping(), rewards=[LabelShares()], tokens=40)
    say(method.policy, monkeypatch, RESPONSES)
    batch = method.encoder(items[:1])
    experience = method.gather(batch)
    names = method.encoder.categories.names
    labels = torch.tensor([[names.index("fear"), names.index("anger"), -1, names.index("fear"), -1]])
    rewards = pseudo_values(labels, batch.label_dist)
    assert method.values["reward/label_shares"].tolist() == pytest.approx(rewards[0].tolist(), abs=1e-6)
    wanted = advantages(rewards, scale="leave_one_out")
    torch.testing.assert_close(experience.advantages, wanted)
    torch.testing.assert_close(experience.form_advantages, wanted)  # all of the reward is the name's
    sampled = [len(method.policy.text_ids(text)) for text in RESPONSES]
    assert (experience.mask.sum(-1)[0] >= torch.tensor(sampled)).tolist() == [True] * 5


def test_what_comes_before_the_name_has_the_whole_advantage_and_the_name_its_own(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(GRPO, grouping=grouping(), rewards=[LabelShares(), Agreement()], tokens=40)
    say(method.policy, monkeypatch, RESPONSES)
    experience = method.gather(method.encoder(items[:1]))
    assert experience.form_advantages is not None
    of_name = advantages(method.values["reward/label_shares"][None], scale="leave_one_out")
    torch.testing.assert_close(experience.form_advantages, of_name)
    assert not torch.allclose(experience.advantages, of_name)


def test_the_verbalised_readout_names_no_class(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    for readout, there in (("logits", True), ("verbalised", False)):
        method = on_policy(GRPO, grouping=Grouping(group_size=3), readout=readout)
        (groups,) = method.sample([method.encoder(items[:2])], group_size=3)
        assert (groups.labels is not None) == there
        if there:
            assert groups.labels.shape == (2, 3) and groups.part(slice(1, 2)).labels.shape == (1, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grouping": grouping(2)}, r"needs groups of at least 3, got group_size 2: set .* to 3 or more"),
        ({"grouping": grouping(scale="group")}, r"advantage_scale: group divides reward label_shares"),
        (
            {"grouping": grouping(name_in_loss=False)},
            r"the names' tokens are not in the loss: set .* to true",
        ),
        ({"readout": "verbalised"}, r"a verbalised answer names none: set model\.readout to logits"),
        ({"curated": CuratedTrajectory(in_baseline=False)}, "a curated one is in each group: leave"),
        ({"reasoning": False}, r"whose score is known without sampling: .* SFT trains the scores"),
    ],
)
def test_settings_under_which_it_is_not_what_it_says_are_refused(
    on_policy: MakeMethod, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message) as raised:
        on_policy(GRPO, **{"rewards": [LabelShares()], "grouping": grouping()} | settings)
    assert "\n" not in str(raised.value)


def test_without_a_weight_it_asks_for_nothing(on_policy: MakeMethod) -> None:
    on_policy(GRPO, rewards=[Agreement(), LabelShares(weight=0.0)], grouping=Grouping(group_size=2))
