"""Form and length of greedy responses: as a sampled response's, with no number of the readout changed."""

from collections.abc import Callable, Sequence

import pytest
import torch
from small_model import MakeEncoder

from lalm_ambig.core.types import Batch, Groups, Item
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts import reading
from lalm_ambig.rollouts.decoder import PlainDecoder, RolloutDecoder, SharedDecoder
from lalm_ambig.rollouts.groups import GroupSampling, sample_groups
from lalm_ambig.rollouts.reading import read_curated, read_generated
from lalm_ambig.rollouts.samples import read_samples
from lalm_ambig.rollouts.sampling import Sampling

KEPT = "<think>the voice is calm</think><answer> anger</answer>"
SCRIPTS = [
    [KEPT, "<answer> fear</answer>", "", "<think>the words and the voice"],
    [
        "<think>calm</think><answer>",
        KEPT,
        KEPT,
        "<think>the words and the voice is calm</think><answer> sad</answer>",
    ],
    [
        "<think>calm</think><answer> the voice is calm and the words and the voice is calm and the",
        KEPT,
        "",
        "",
    ],
    [KEPT, KEPT, KEPT, "<think>so</think><answer> anger</answer> the voice"],
]


@pytest.fixture(scope="module")
def encoder(tiny: Tiny, make_encoder: MakeEncoder) -> Encoder:
    return make_encoder(tiny)


@pytest.fixture(scope="module")
def batch(encoder: Encoder, items: Sequence[Item]) -> Batch:
    return encoder(items)


def script(policy: Tiny, patch: pytest.MonkeyPatch, texts: Sequence[str]) -> None:
    """Make each row's likeliest tokens those of its text, then the end of the turn."""
    rows = [[*policy.text_ids(text), *policy.end_ids[:1] * 60] for text in texts]
    fed = [0]

    def counted(step: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def count(decoder: RolloutDecoder, tokens: torch.Tensor) -> torch.Tensor:
            fed[0] = decoder.steps + 1
            return step(decoder, tokens)

        return count

    def logits(_: torch.Tensor) -> torch.Tensor:
        ids = torch.tensor([row[fed[0]] for row in rows])
        return torch.nn.functional.one_hot(ids, len(policy.tokenizer)).float()

    for kind in (SharedDecoder, PlainDecoder):
        patch.setattr(kind, "step", counted(kind.step))
    patch.setattr(policy, "logits", logits)
    patch.setattr(reading, "_mass", lambda *_: torch.ones(len(texts)))


def greedy_groups(encoder: Encoder, batch: Batch, tokens: int) -> Groups:
    """Responses of the training's engine, which goes on to the closing tag by itself."""
    return sample_groups(
        encoder, batch, GroupSampling(Sampling(tokens, temperature=0.0), group_size=1, step=0)
    )


@pytest.mark.parametrize("texts", SCRIPTS)
@pytest.mark.parametrize("tokens", [9, 14, 40])
@pytest.mark.parametrize("share", [True, False])
def test_a_greedy_response_ends_as_a_sampled_one(
    tiny: Tiny,
    encoder: Encoder,
    batch: Batch,
    monkeypatch: pytest.MonkeyPatch,
    texts: list[str],
    tokens: int,
    share: bool,
) -> None:
    with monkeypatch.context() as patch:
        script(tiny, patch, texts)
        expected = greedy_groups(encoder, batch, tokens)
    with monkeypatch.context() as patch:
        script(tiny, patch, texts)
        assert encoder.answer is not None
        read = read_generated(tiny, batch, encoder.answer, max_new_tokens=tokens, share=share)
    assert read.well_formed is not None and read.tokens is not None
    assert read.well_formed.tolist() == expected.well_formed[:, 0].float().tolist()
    assert read.tokens.tolist() == expected.mask[:, 0].sum(-1).float().tolist()


def test_only_the_form_to_the_end_counts_as_well_formed(
    tiny: Tiny, encoder: Encoder, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert encoder.answer is not None
    script(tiny, monkeypatch, [KEPT, KEPT.removesuffix("</answer>"), "<answer> fear</answer>", ""])
    read = read_generated(tiny, batch, encoder.answer, max_new_tokens=40)
    assert read.well_formed is not None and read.tokens is not None
    assert read.well_formed.tolist() == [1, 0, 0, 0]
    assert read.tokens.tolist() == [len(tiny.text_ids(KEPT)), *read.tokens.tolist()[1:3], 1]


def test_what_follows_the_answer_changes_nothing_that_is_read(
    tiny: Tiny, encoder: Encoder, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert encoder.answer is not None
    full = read_generated(tiny, batch, encoder.answer, max_new_tokens=12)
    monkeypatch.setattr(reading, "Sequel", lambda *_: None)
    short = read_generated(tiny, batch, encoder.answer, max_new_tokens=12)
    assert full.predicted_dist.equal(short.predicted_dist)
    assert full.class_mass is not None and short.class_mass is not None
    assert full.class_mass.equal(short.class_mass)
    assert full.responses == short.responses


def test_what_the_policy_does_not_write_has_neither_form_nor_length(
    tiny: Tiny, encoder: Encoder, batch: Batch
) -> None:
    assert encoder.answer is not None
    for read in (
        read_curated(tiny, batch, encoder.answer),
        read_generated(tiny, batch, encoder.answer, max_new_tokens=0),
    ):
        assert read.class_mass is not None
        assert (read.well_formed, read.tokens) == (None, None)


def test_several_samples_have_the_means_of_their_responses(encoder: Encoder, batch: Batch) -> None:
    groups = sample_groups(encoder, batch, GroupSampling(Sampling(6), group_size=3, step=0))
    read = read_samples(encoder, batch, max_new_tokens=6, samples=3)
    assert groups.class_mass is not None and read.class_mass is not None and read.tokens is not None
    assert len(set(groups.class_mass[0].tolist())) == 3
    torch.testing.assert_close(read.class_mass, groups.class_mass.mean(1))
    torch.testing.assert_close(read.tokens, groups.mask.sum(-1).float().mean(1))


def test_the_class_mass_of_a_sampled_response_is_that_of_the_whole_vocabulary(
    tiny: Tiny, encoder: Encoder, batch: Batch
) -> None:
    """A greedy response's, which is computed in another way."""
    assert encoder.answer is not None
    read = read_generated(tiny, batch, encoder.answer, max_new_tokens=6)
    groups = greedy_groups(encoder, batch, 6)
    assert read.class_mass is not None and groups.class_mass is not None
    torch.testing.assert_close(groups.class_mass[:, 0], read.class_mass, atol=1e-6, rtol=1e-4)


def test_words_have_no_class_mass(tiny: Tiny, make_encoder: MakeEncoder, items: Sequence[Item]) -> None:
    stated = make_encoder(tiny, readout="verbalised")
    read = read_samples(stated, stated(items), max_new_tokens=4, samples=2)
    assert (read.class_mass, read.well_formed, read.tokens) == (None, None, None)
