r"""GRPO in one file: the tiny model, the demo corpus, and a plain PyTorch loop.

    python examples/minimal_grpo.py

It prints the numbers that `fit` logs for the same settings, step by step:

    lalm-ambig fit --config configs/base.yaml --config configs/policy/tiny.yaml \
        --config configs/data/demo.yaml --config configs/method/grpo.yaml --data.batch_size 8 \
        --data.items_per_update 8 --model.grouping.group_size 4 --model.sampling.max_new_tokens 24 \
        --model.optimiser.learning_rate 1e-4 --trainer.max_steps 5 --trainer.log_every_n_steps 1

A step does four things: sample a group of responses per prompt, reward each response, turn rewards into advantages,
and make the better responses likelier. `fit` adds validation, checkpoints, several devices and the other methods.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lalm_ambig.core.types import Batch, Groups, Item
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.data.encoding import Elicitation, Encoder, approximate_length
from lalm_ambig.data.sampler import LengthBuckets, StepShape
from lalm_ambig.objectives.advantages import advantages
from lalm_ambig.objectives.grpo import GRPOExperience, GRPOObjective
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.rewards.agreement import Agreement
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rewards.format import Format
from lalm_ambig.rewards.total import compute_rewards, total_reward
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.passages import PassSettings, ScoredSpan, score_spans
from lalm_ambig.rollouts.sampling import Sampling


@dataclass(frozen=True)
class Settings:
    """The settings of a run."""

    root: Path | None = None
    """Folder of the demo corpus; by default one in the cache."""
    steps: int = 5
    batch_size: int = 8
    """Prompts per step."""
    group_size: int = 4
    """Responses per prompt, K."""
    max_new_tokens: int = 24
    learning_rate: float = 1e-4
    """Peak of a cosine schedule with 3 % warm-up."""
    seed: int = 0


def train(settings: Settings) -> Iterator[dict[str, float]]:
    """Train, and yield the numbers of each step under the names that `fit` logs."""
    torch.manual_seed(settings.seed)
    policy = Tiny(adapter=Adapter(rank=32, alpha=64.0, projector=True, audio_tower=True))
    policy.load()
    policy.train()
    corpus = prepare(Demo(settings.root), quiet=True)
    encoder = Encoder(policy, corpus.categories, Elicitation("speech_emotion_short", reasoning=True))
    rewards: list[Reward] = [Agreement(), Format(weight=0.1)]
    objective = GRPOObjective(clip_low=0.2, clip_high=0.2, kl_weight=0.04)
    sampling = Sampling(max_new_tokens=settings.max_new_tokens, seed=settings.seed)
    parameters = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: cosine(step, settings.steps))

    for step, items in enumerate(batches(list(corpus.items("train")), settings)):
        batch = encoder(items)
        # 1. Sample a group of responses per prompt, and read the distribution that follows each one's reasoning.
        groups = sample_groups(encoder, batch, GroupSampling(sampling, settings.group_size, step))
        # 2. Reward each response, and compare it with the other responses of its group.
        parts = compute_rewards(rewards, groups, label_dist=batch.label_dist, items=batch.items)
        reward = total_reward(rewards, parts)
        advantage = advantages(reward)
        # 3. Score the responses again: by the policy with gradients, and by the base model.
        loss_mask = groups.mask & ~groups.is_answer_token
        log_probs = score(encoder, batch, groups)
        with torch.no_grad(), policy.eval_mode(), policy.adapter_off():
            ref_log_probs = score(encoder, batch, groups)
        # 4. One step towards the better responses.
        experience = GRPOExperience(log_probs, log_probs.detach(), ref_log_probs, loss_mask, advantage)
        loss = objective(experience)
        optimiser.zero_grad()
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
        values = {"loss": loss.total, "reward": reward, **{f"reward/{name}": v for name, v in parts.items()}}
        values |= {"rollouts/tokens": groups.mask.sum(-1).float(), **loss.parts}
        yield {name: float(value.detach().mean()) for name, value in values.items()}


def score(encoder: Encoder, batch: Batch, groups: Groups) -> Tensor:
    """Log-probabilities in nats [group, rollout, token] of sampled tokens, 0 where the loss does not count them."""
    loss_mask = groups.mask & ~groups.is_answer_token
    lengths = groups.mask.sum(-1).tolist()
    spans = [
        ScoredSpan(g, groups.ids[g, k, :length], loss_mask[g, k, :length])
        for g, row in enumerate(lengths)
        for k, length in enumerate(row)
    ]
    log_probs = score_spans(encoder.policy, batch, spans, PassSettings(encoder.answer)).log_probs
    return log_probs.view(*groups.mask.shape[:2], -1)


def batches(items: Sequence[Item], settings: Settings) -> Iterator[list[Item]]:
    """The items of each step: shuffled in every epoch, of like length in a batch."""
    order = LengthBuckets([approximate_length(item) for item in items], StepShape(settings.batch_size))
    epochs = math.ceil(settings.steps / len(order))
    indices = []
    for epoch in range(epochs):
        order.set_epoch(epoch)
        indices += list(order)
    yield from ([items[i] for i in row] for row in indices[: settings.steps])


def cosine(step: int, steps: int) -> float:
    """Factor of the learning rate, in [0, 1]: linear warm-up, then half a cosine down to 0."""
    warmup = max(1, round(0.03 * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, steps - warmup))))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=Settings.steps)
    for step, values in enumerate(train(Settings(steps=parser.parse_args().steps)), start=1):
        print(f"step {step}: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
