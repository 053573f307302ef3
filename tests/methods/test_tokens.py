"""The count of tokens that a policy has sampled or was trained on."""

from collections.abc import Sequence

import pytest
import torch
from scripted import MakeMethod, say

from lalm_ambig.core.types import Item
from lalm_ambig.methods.dpo import DPO, Negatives
from lalm_ambig.methods.grouping import Grouping
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.dpo import DPOObjective

RESPONSES = ("<think>the voice is calm</think><answer> fear</answer>", "<answer> anger</answer>")


def test_curated_responses_count_once_a_pass_with_their_prompts(
    on_policy: MakeMethod, items: Sequence[Item]
) -> None:
    method = on_policy(SFT)
    batch = method.encoder(items)
    assert batch.curated is not None
    with torch.no_grad():
        method.gather(batch)
    assert method.tokens == 0
    method.gather(batch)
    once = int(batch.prompt.mask.sum() + batch.curated.response.mask.sum())
    assert method.tokens == once > 0
    method.gather(batch)
    assert method.tokens == 2 * once


def test_a_group_counts_when_it_is_sampled_and_in_each_update(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(GRPO, grouping=Grouping(group_size=2, updates=2), tokens=40)
    say(method.policy, monkeypatch, RESPONSES)
    batch = method.encoder(items[:1])
    length = sum(len(method.policy.text_ids(text)) for text in RESPONSES)
    each = length + 2 * int(batch.prompt.mask.sum())
    method.gather(batch)  # the reference's pass is not the policy's
    assert method.tokens == 2 * each
    method.gather(batch)
    assert method.tokens == 3 * each


def test_of_sampled_negatives_only_the_rejected_are_trained_on(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = on_policy(
        DPO,
        objective=DPOObjective(),
        negatives=Negatives(group_size=2, js_threshold=0.0, choose="worst"),
        tokens=40,
    )
    say(method.policy, monkeypatch, RESPONSES)
    batch = method.encoder(items[:1])
    assert batch.curated is not None and not method.reads_own
    method.gather(batch)
    prompt, curated = int(batch.prompt.mask.sum()), int(batch.curated.response.mask.sum())
    lengths = [len(method.policy.text_ids(text)) for text in RESPONSES]
    rejected = [row["rejected"] for row in method.rollout_rows].index(1)
    assert method.tokens == (sum(lengths) + 2 * prompt) + (curated + prompt) + (lengths[rejected] + prompt)
