"""Prompts of one batch that begin alike: samples, log-probabilities, readings and gradients are the plain way's."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from small_model import MakeEncoder, MakePolicy, nudge

from lalm_ambig.core.types import Batch, Item, Reading
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.attention.tree import FEWEST_SHARED, common_prefix_length
from lalm_ambig.policies.chat.chat import Chat
from lalm_ambig.policies.chat.template import ChatSettings
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.decoder import prompt_segments
from lalm_ambig.rollouts.generate import Request, generate
from lalm_ambig.rollouts.passages import PassOutput, PassSettings, curated_spans, score_spans
from lalm_ambig.rollouts.reading import read_curated, read_generated
from lalm_ambig.rollouts.sampling import Sampling

SYSTEM = "Listeners often disagree about the emotion in a voice, and each of their readings has its grounds."


@pytest.fixture(scope="module")
def policy(make_policy: MakePolicy) -> Tiny:
    """Its system's turn is longer than what must be in common to be shared."""
    made = make_policy(projector=True)
    made.chat = Chat(made.tokenizer, "tiny", ChatSettings(system=SYSTEM), hears=True)
    nudge(made, by=0.02)
    return made


@pytest.fixture(scope="module")
def encoder(policy: Tiny, make_encoder: MakeEncoder) -> Encoder:
    return make_encoder(policy)


@pytest.fixture(scope="module", params=["sound", "text", "both", "one item"])
def batch(encoder: Encoder, items: Sequence[Item], request: pytest.FixtureRequest) -> Batch:
    """Prompts of unequal length, padded on the left."""
    silent = [replace(item, audio=None, text=f"{item.text}, and so on" * n) for n, item in enumerate(items)]
    chosen = {"sound": items, "text": silent, "both": [items[0], silent[1], items[2]], "one item": items[:1]}
    return encoder(chosen[request.param])


def test_the_prompts_of_the_batch_begin_alike(policy: Tiny, batch: Batch) -> None:
    """Up to the sound where all of them have some, and never over a placeholder of it."""
    common = common_prefix_length([prompt.embeddings for prompt in prompt_segments(policy, batch)])
    assert common >= FEWEST_SHARED if len(batch.items) > 1 else common == 0
    ids = batch.prompt.ids[0][batch.prompt.mask[0]][:common]
    assert not (ids == policy.audio_token_id).any()


@torch.no_grad()
def test_greedy_responses_are_the_plain_ones(policy: Tiny, batch: Batch) -> None:
    request = Request(Sampling(max_new_tokens=5, temperature=0.0), group_size=2, anchor="<answer>")
    shared, plain = (generate(policy, batch, replace(request, share_prompt=s)) for s in (True, False))
    assert [r.ids for r in shared.responses] == [r.ids for r in plain.responses]
    for ours, theirs in zip(shared.responses, plain.responses, strict=True):
        assert ours.log_probs == pytest.approx(theirs.log_probs, abs=2e-5)
    torch.testing.assert_close(shared.anchor_states, plain.anchor_states, atol=2e-5, rtol=1e-4)


def test_log_probs_scores_and_gradients_are_the_plain_ones(
    policy: Tiny, batch: Batch, encoder: Encoder
) -> None:
    assert batch.curated is not None
    passages = curated_spans(batch.curated, ce=True, name=True, scores=True)
    found: list[tuple[PassOutput, dict[str, torch.Tensor]]] = []
    for share in (True, False):
        policy.zero_grad()
        passed = score_spans(policy, batch, passages, PassSettings(encoder.answer, share_prompt=share))
        weights = torch.linspace(-1, 1, passed.log_probs.shape[1])
        ((passed.log_probs * weights).sum() + passed.scores.log_softmax(-1)[:, 2].sum()).backward()
        found.append(
            (passed, {n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None})
        )
    (ours, own), (plain, expected) = found
    assert torch.equal(ours.mask, plain.mask)
    torch.testing.assert_close(ours.log_probs, plain.log_probs, atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(ours.scores, plain.scores, atol=2e-5, rtol=2e-5)
    assert own.keys() == expected.keys() != set()
    for name, gradient in own.items():
        scale = expected[name].abs().max()
        assert (gradient - expected[name]).abs().max() <= 1e-4 * scale, name


@torch.no_grad()
def test_readings_are_the_plain_ones(policy: Tiny, batch: Batch, encoder: Encoder) -> None:
    assert encoder.answer is not None

    def readings(*, share: bool) -> list[Reading]:
        at_once = read_generated(policy, batch, encoder.answer, max_new_tokens=0, share=share)
        return [at_once, read_curated(policy, batch, encoder.answer, share=share)]

    shared = readings(share=True)
    for ours, plain in zip(shared, readings(share=False), strict=True):
        torch.testing.assert_close(ours.predicted_dist, plain.predicted_dist, atol=2e-5, rtol=0)
        assert ours.class_mass is not None
        torch.testing.assert_close(ours.class_mass, plain.class_mass, atol=2e-5, rtol=1e-4)
        assert (ours.responses, ours.was_completed) == (plain.responses, plain.was_completed)
    assert shared[0].responses == ("<answer>",) * len(batch.items)


def test_a_pass_over_one_items_response_computes_no_other_prompt(
    policy: Tiny, encoder: Encoder, items: Sequence[Item]
) -> None:
    batch = encoder(items)
    assert batch.curated is not None
    passages = curated_spans(batch.curated, ce=True, name=True, scores=False)[2:3]
    alone = encoder(items[2:3])
    assert alone.curated is not None
    expected = curated_spans(alone.curated, ce=True, name=True, scores=False)
    with torch.no_grad():
        ours = score_spans(policy, batch, passages, PassSettings(None)).log_probs
        theirs = score_spans(policy, alone, expected, PassSettings(None)).log_probs
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=2e-5)
