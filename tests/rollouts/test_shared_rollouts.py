"""K responses to each of several ragged prompts with sound: the shared way says and weighs what the plain way does."""

from collections.abc import Sequence

import pytest
import torch
from small_model import MakeEncoder, MakePolicy, nudge

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.types import Batch, Item
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.generate import GeneratedBatch, Request, generate
from lalm_ambig.rollouts.passages import PassOutput, PassSettings, ScoredSpan, curated_spans, score_spans
from lalm_ambig.rollouts.reading import read_curated, read_generated
from lalm_ambig.rollouts.sampling import Sampling, uniform_noise

COPIES, NEW, TEMPERATURE = 3, 12, 1.3


@pytest.fixture
def policy(make_policy: MakePolicy) -> Tiny:
    made = make_policy(projector=True)
    nudge(made, by=0.02)
    return made


@pytest.fixture
def batch(policy: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]) -> Batch:
    return make_encoder(policy)(items)


def sampled(policy: Tiny, batch: Batch, *, share: bool = True, **settings: object) -> GeneratedBatch:
    request = Request(
        Sampling(max_new_tokens=NEW, temperature=TEMPERATURE),
        group_size=COPIES,
        anchor="<answer>",
        share_prompt=share,
        **settings,  # type: ignore[arg-type]
    )
    ids = [item.id for item in batch.items]
    noise = uniform_noise(ids, seed=3, step=0, group_size=COPIES, tokens=NEW)
    return generate(policy, batch, request, noise=noise)


def passed(
    policy: Tiny, batch: Batch, generated: GeneratedBatch, *, share: bool, encoder: Encoder
) -> PassOutput:
    passages = [
        ScoredSpan(row // COPIES, torch.tensor(r.ids), torch.ones(len(r.ids), dtype=torch.bool))
        for row, r in enumerate(generated.responses)
    ]
    return score_spans(policy, batch, passages, PassSettings(encoder.answer, TEMPERATURE, share))


def test_the_shared_way_samples_the_plain_ways_tokens(policy: Tiny, batch: Batch) -> None:
    shared, plain = (sampled(policy, batch, share=share) for share in (True, False))
    assert [r.ids for r in shared.responses] == [r.ids for r in plain.responses]
    assert len({tuple(r.ids) for r in shared.responses}) == len(batch.items) * COPIES
    for ours, theirs in zip(shared.responses, plain.responses, strict=True):
        assert ours.log_probs == pytest.approx(theirs.log_probs, abs=1e-4)
        assert (ours.text, ours.ended, ours.closing) == (theirs.text, theirs.ended, theirs.closing)
    assert shared.anchor_states is not None
    assert plain.anchor_states is not None
    torch.testing.assert_close(shared.anchor_states, plain.anchor_states, atol=1e-4, rtol=1e-4)


def test_recorded_log_probs_are_those_of_the_training_pass(
    policy: Tiny, batch: Batch, make_encoder: MakeEncoder
) -> None:
    """Rows in another order than prompt by prompt would be weighed behind another item's prompt."""
    generated = sampled(policy, batch)
    encoder = make_encoder(policy)
    for share in (True, False):
        found = passed(policy, batch, generated, share=share, encoder=encoder)
        for row, response in enumerate(generated.responses):
            weighed = found.log_probs[row, : len(response.ids)].tolist()
            assert weighed == pytest.approx(response.log_probs, abs=1e-4)


def test_gradients_of_the_shared_pass_are_the_plain_ones(
    policy: Tiny, batch: Batch, make_encoder: MakeEncoder
) -> None:
    generated, encoder = sampled(policy, batch), make_encoder(policy)
    found = []
    for share in (True, False):
        policy.zero_grad()
        result = passed(policy, batch, generated, share=share, encoder=encoder)
        weights = torch.linspace(-1, 1, len(result.log_probs))[:, None]
        (result.log_probs * weights).sum().backward()
        found.append({n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None})
    assert any("projector" in name for name in found[0])
    for name, gradient in found[0].items():
        scale = found[1][name].abs().max()
        assert (gradient - found[1][name]).abs().max() <= 1e-3 * scale, name


def test_an_items_responses_do_not_depend_on_its_batch(
    policy: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    encoder = make_encoder(policy)
    together = sampled(policy, encoder(items)).responses
    turned = sampled(policy, encoder(items[::-1])).responses
    alone = sampled(policy, encoder(items[2:3])).responses
    assert [r.ids for r in together[2 * COPIES : 3 * COPIES]] == [r.ids for r in alone]
    assert [r.ids for r in turned[COPIES : 2 * COPIES]] == [r.ids for r in alone]


def test_each_prompt_may_have_its_own_limit(policy: Tiny, batch: Batch) -> None:
    generated = sampled(policy, batch, limits=(1, 5, 12, 3))
    for row, response in enumerate(generated.responses):
        limit = (1, 5, 12, 3)[row // COPIES]
        assert len(response.ids) <= limit
        assert response.ended == ("end" if response.ids[-1] in policy.end_ids else "length")


def test_sampling_without_random_numbers_is_refused(policy: Tiny, batch: Batch) -> None:
    with pytest.raises(ValueError, match=r"temperature 1\.0 needs noise"):
        generate(policy, batch, Request(Sampling(max_new_tokens=2)))


def test_policy_is_in_training_mode_again_after_a_rollout(policy: Tiny, batch: Batch) -> None:
    policy.train()
    sampled(policy, batch)
    assert policy.training


WORDS = CategorySet(("very angry", "very sad", "calm"), (" the voice is loud", " the voice is low", " calm"))


@torch.no_grad()
def test_scoring_whole_names_equals_one_forward_a_name(policy: Tiny, items: Sequence[Item]) -> None:
    three = [Item(i.id, (2.0, 1.0, 1.0), audio=i.audio, text=i.text, rationale=i.rationale) for i in items]
    encoder = Encoder(policy, WORDS, Elicitation("speech_emotion_short", reasoning=True, scoring="sequence"))
    batch = encoder(three)
    assert batch.curated is not None
    generated = read_generated(policy, batch, encoder.answer, max_new_tokens=NEW)
    curated = read_curated(policy, batch, encoder.answer)
    in_training = score_spans(
        policy,
        batch,
        curated_spans(batch.curated, ce=True, name=False, scores=True),
        PassSettings(encoder.answer),
    )
    torch.testing.assert_close(in_training.scores.softmax(-1), curated.predicted_dist, atol=1e-5, rtol=1e-4)
    for reading in (generated, curated):
        for row, item in enumerate(three):
            log_shares = []
            for ids in encoder.answer.name_ids:
                one = encoder([item])
                said = policy.text_ids(reading.responses[row])
                passage = ScoredSpan(
                    0, torch.tensor([*said, *ids]), torch.tensor([False] * len(said) + [True] * len(ids))
                )
                found = score_spans(policy, one, [passage], PassSettings(encoder.answer, share_prompt=False))
                log_shares.append(found.log_probs.sum())
            expected = torch.stack(log_shares)
            torch.testing.assert_close(
                reading.predicted_dist[row], expected.softmax(-1), atol=1e-5, rtol=1e-4
            )
            torch.testing.assert_close(reading.class_mass[row], expected.exp().sum(), atol=1e-6, rtol=1e-3)
