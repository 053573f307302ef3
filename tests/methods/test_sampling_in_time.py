"""What must hold between sampling and scoring, from step to step, and over processes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripted import MakeMethod, say
from small_model import MakeEncoder, MakePolicy, nudge

from lalm_ambig.core.types import Item
from lalm_ambig.methods.dpo import DPO
from lalm_ambig.methods.grouping import Comparison
from lalm_ambig.methods.grpo import GRPO, Grouping
from lalm_ambig.methods.trajectories import with_tokens
from lalm_ambig.objectives.advantages import advantages
from lalm_ambig.objectives.grpo import GRPOObjective
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.samples import read_samples
from lalm_ambig.rollouts.sampling import Sampling

FOUR = Grouping(group_size=4)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.8])
def test_responses_are_scored_at_the_temperature_they_were_sampled_at(
    on_policy: MakeMethod, items: Sequence[Item], temperature: float
) -> None:
    method = on_policy(GRPO, grouping=FOUR)
    method.sampling = replace(method.sampling, temperature=temperature)
    method.gather(method.encoder(items))
    assert float(method.values["rollouts/log_prob_mismatch"].max()) < 1e-4


@pytest.mark.parametrize(("cls", "settings"), [(GRPO, {"grouping": FOUR}), (DPO, {})], ids=["grpo", "dpo"])
def test_another_step_samples_other_responses_and_the_same_step_the_same(
    on_policy: MakeMethod,
    items: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
    cls: Any,
    settings: dict[str, Any],
) -> None:
    method = on_policy(cls, **settings)
    batch = method.encoder(items)

    def texts(step: int) -> list[str]:
        monkeypatch.setattr(cls, "global_step", property(lambda _: step))
        method.collect([batch])
        return [row["response"] for row in method.rollout_rows]

    first = texts(0)
    assert texts(1) != first
    assert texts(0) == first


def test_two_seeds_sample_different_responses(on_policy: MakeMethod, items: Sequence[Item]) -> None:
    method = on_policy(GRPO, grouping=FOUR)
    batch, responses = method.encoder(items), []
    for seed in (0, 1):
        method.sampling = replace(method.sampling, seed=seed)
        method.collect([batch])
        responses.append([row["response"] for row in method.rollout_rows])
    assert responses[0] != responses[1]


def of_two(monkeypatch: pytest.MonkeyPatch, other: Any, *, rank: int) -> None:
    """As if this process, of that rank, had a neighbour who hands over `other`."""
    monkeypatch.setattr("lalm_ambig.core.distributed.world_size", lambda: 2)
    monkeypatch.setattr("lalm_ambig.core.distributed.rank", lambda: rank)
    monkeypatch.setattr(
        "lalm_ambig.core.distributed.all_gather_object",
        lambda value: [value, other] if rank == 0 else [other, value],
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_the_deviation_of_a_batch_is_over_the_groups_of_all_processes(
    monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    comparison = Comparison("batch")
    local = torch.tensor([[0.0, 0.1, 0.2], [0.3, 0.3, 0.6]])
    other = torch.tensor([[5.0, -5.0, 0.0]])
    of_two(monkeypatch, other, rank=rank)
    advantage = comparison.advantages(local)
    together = advantages(torch.cat([local, other]), scale="batch")[:2]
    assert torch.allclose(advantage, together)
    assert not torch.allclose(advantage, advantages(local, scale="batch"))


def test_a_mean_over_tokens_is_over_those_of_all_processes(
    on_policy: MakeMethod, items: Sequence[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process's loss is its sum / tokens, and `StepMetrics` weights it by items. The mean over processes must then be
    the sum over all tokens divided by their number."""
    method = on_policy(GRPO, grouping=FOUR, objective=GRPOObjective(average="token", kl_weight=0.0))
    batch = method.encoder(items[:3])
    (collected,) = method.collect([batch])
    own_tokens, other_tokens, other_items = float(collected.loss_mask.sum()), 250.0, 1
    of_two(monkeypatch, (other_tokens, other_items), rank=0)
    divisor = float(with_tokens([batch], [collected])[0].tokens)
    weights = [2 * count / (len(batch.items) + other_items) for count in (len(batch.items), other_items)]
    mean_over_processes = (weights[0] * 1 / divisor) / 2  # of one unit of loss in this process
    assert mean_over_processes == pytest.approx(1 / (own_tokens + other_tokens))


def test_dropout_is_off_while_sampling_and_on_again_behind_it(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    policy = make_policy(dropout=0.9)
    nudge(policy, by=0.1)
    encoder = make_encoder(policy)
    batch, draw = encoder(items), GroupSampling(Sampling(max_new_tokens=8), 2, 0)
    quiet = sample_groups(encoder, batch, draw)
    policy.train()
    for _ in range(2):
        groups = sample_groups(encoder, batch, draw)
        assert groups.texts == quiet.texts
        assert torch.equal(groups.log_probs, quiet.log_probs)
        assert torch.equal(groups.predicted_dist, quiet.predicted_dist)
    assert policy.training


def test_samples_that_cannot_be_read_are_left_out_of_the_mean(
    make_policy: MakePolicy,
    make_encoder: MakeEncoder,
    items: Sequence[Item],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = make_policy()
    encoder = make_encoder(policy, reasoning=False, readout="verbalised")
    names = encoder.categories.names

    def stating(share: float) -> str:
        return f'{{"{names[0]}": {share}, "{names[1]}": {1 - share}}}'

    say(policy, monkeypatch, [stating(1.0), "no object", stating(0.5), "{}"])
    reading = read_samples(encoder, encoder(items[:1]), max_new_tokens=80, samples=4)
    assert reading.predicted_dist[0, :2].tolist() == pytest.approx([0.75, 0.25])
    assert reading.unparsed == (None,)
    say(policy, monkeypatch, ["nothing", "no object"])
    nothing = read_samples(encoder, encoder(items[:1]), max_new_tokens=80, samples=2)
    assert nothing.predicted_dist[0].tolist() == pytest.approx([1 / len(names)] * len(names))
    assert nothing.unparsed is not None
    assert nothing.unparsed[0] is not None
