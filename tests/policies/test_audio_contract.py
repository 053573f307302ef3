"""What holds for every policy with ears: transformers' own forward on the whole window, but for its cost."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from small_checkpoints import HEARING, MakeAny
from small_model import noise, nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.audio.mel import padded_window
from lalm_ambig.policies.audio_model import AudioModel
from lalm_ambig.policies.weights.lora import trained_parameters

PARTS = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "which emotion do listeners hear?"}]
RAGGED_S = (0.4, 3.1, 0.031, 1.2)
EDGES = (0, 1, 159, 160, 161, 319, 320, 321, 480, 481, 640, 641, 8000, 31_999, 32_000, 32_001)
"""Samples from the window's end, or from the beginning, around the bounds of mel frames and of two-second chunks."""


def prompted(policy: AudioModel, clips: Sequence[torch.Tensor]) -> tuple[Tokens, Audio]:
    frames = tuple(policy.log_mel(clip) for clip in clips)
    prompts = [policy.prompt_ids(PARTS, audio_tokens=policy.audio_tokens(f)) for f in frames]
    return pad(prompts, policy.pad_id, side="left"), Audio(tuple(range(len(clips))), frames, encoded=False)


def ragged() -> list[torch.Tensor]:
    return [noise(seconds, seed=n) for n, seconds in enumerate(RAGGED_S)]


def states(policy: AudioModel, clips: Sequence[torch.Tensor]) -> torch.Tensor:
    tokens, audio = prompted(policy, clips)
    return policy.hidden(policy.embed(tokens, audio), tokens.mask)[:, -1]


def parts(policy: AudioModel, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the decoder gets of a clip without the side path, and what the side path reads."""
    last = features.shape[1] - policy.side_channels
    return policy.project_last(features[:, :last]), features[:, last:]


def own_counts(policy: AudioModel, clips: Sequence[torch.Tensor]) -> list[int]:
    """Audio tokens by transformers' own arithmetic on its own frames."""
    _, own = padded_window(policy.extractor, clips)
    return [max(0, int(n)) for n in policy.tower._get_feat_extract_output_lengths(own.sum(-1))[1]]


@torch.no_grad()
def test_hidden_states_with_sound_are_the_models_own_forward(ears: AudioModel) -> None:
    clips = ragged()
    tokens, audio = prompted(ears, clips)
    theirs = ears.base.model(
        input_ids=tokens.ids, attention_mask=tokens.mask.long(), **ears.family.inputs(clips)
    ).last_hidden_state
    ours = ears.hidden(ears.embed(tokens, audio), tokens.mask)
    torch.testing.assert_close(ours[tokens.mask], theirs[tokens.mask], atol=5e-4, rtol=1e-3)
    quiet = states(ears, [0.01 * clip.flip(0) for clip in clips])
    assert (quiet - theirs[:, -1]).abs().max(-1).values.min() > 0.01  # every clip is really heard


@torch.no_grad()
def test_features_equal_those_of_the_whole_window(ears: AudioModel) -> None:
    clips = ragged()
    for features, clip in zip(ears.encode_audio([ears.log_mel(clip) for clip in clips]), clips, strict=True):
        for got, expected in zip(parts(ears, features), ears.reference_embeddings(clip), strict=True):
            torch.testing.assert_close(got, expected, atol=5e-4, rtol=1e-3)


@torch.no_grad()
def test_a_ragged_batch_equals_each_item_alone(ears: AudioModel) -> None:
    together = states(ears, ragged())
    for row, clip in enumerate(ragged()):
        torch.testing.assert_close(together[row : row + 1], states(ears, [clip]), atol=2e-4, rtol=1e-3)


@torch.no_grad()
def test_going_on_from_a_cached_prompt_with_sound_equals_one_pass(ears: AudioModel) -> None:
    tokens, audio = prompted(ears, ragged())
    response = torch.tensor([ears.text_ids("the voice is calm")]).expand(len(RAGGED_S), -1)
    mask = torch.cat([tokens.mask, torch.ones_like(response, dtype=torch.bool)], dim=1)
    prompt, rest = ears.embed(tokens, audio), ears.embed_ids(response)
    whole = ears.hidden(torch.cat([prompt, rest], dim=1), mask)[:, tokens.ids.shape[1] :]
    state: dict[str, Any] = {}
    ears.hidden(prompt, tokens.mask, past=state)
    torch.testing.assert_close(ears.hidden(rest, mask, past=state), whole, atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("from_end", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_tokens_and_features_are_as_many_as_transformers_counts(ears: AudioModel, from_end: bool) -> None:
    longest = round(ears.window_s * 16_000)
    counts = [longest - n for n in EDGES] if from_end else [n for n in EDGES if n]
    clips = [noise(max(1, n) / 16_000, seed=0)[:n] for n in counts]
    frames = [ears.log_mel(clip) for clip in clips]
    tokens = [ears.audio_tokens(f) for f in frames]
    assert tokens == own_counts(ears, clips)
    assert [len(features) for features in ears.encode_audio(frames)] == tokens


@torch.no_grad()
def test_a_clip_as_long_as_the_window_or_longer_is_heard_up_to_its_end(ears: AudioModel) -> None:
    clip = noise(ears.window_s + 1, seed=4)
    window = clip[: round(ears.window_s * 16_000)]
    (cut,) = ears.encode_audio([ears.log_mel(clip)])
    expected = ears.reference_embeddings(window)
    assert len(cut) == ears.audio_tokens(ears.log_mel(window)) == round(25 * ears.window_s)
    for ours, theirs in zip(parts(ears, cut), expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=5e-4, rtol=1e-3)


def test_a_clip_too_short_to_be_heard_is_refused(ears: AudioModel) -> None:
    tokens = ears.audio_tokens(ears.log_mel(noise(0.005, seed=0)))
    assert tokens == 0
    with pytest.raises(InputError, match="a clip is too short to be heard"):
        ears.prompt_ids(PARTS, audio_tokens=tokens)


@torch.no_grad()
@pytest.mark.parametrize("encoded", [False, True])
def test_each_row_hears_its_own_clip_in_any_order_and_beside_rows_without(
    ears: AudioModel, encoded: bool
) -> None:
    clips = [noise(0.4, seed=1), noise(0.9, seed=2)]
    (first, one), (second, two) = (prompted(ears, [clip]) for clip in clips)
    silent = ears.prompt_ids(PARTS[1:])
    rows = [second.ids[0].tolist(), silent, first.ids[0].tolist()]
    frames = (*one.frames, *two.frames)
    heard = tuple(ears.encode_audio(frames)) if encoded else frames
    tokens = pad(rows, ears.pad_id, side="left")
    embedded = ears.embed(tokens, Audio((2, 0), heard, encoded=encoded))
    for row, alone in ((0, ears.embed(second, two)[0]), (2, ears.embed(first, one)[0])):
        torch.testing.assert_close(embedded[row][tokens.mask[row]], alone, atol=2e-5, rtol=1e-3)
    assert torch.equal(embedded[1][tokens.mask[1]], ears.embed_ids(torch.tensor(silent)))


def test_a_row_whose_tokens_and_features_differ_is_refused(ears: AudioModel) -> None:
    tokens, audio = prompted(ears, [noise(0.4, seed=1), noise(0.9, seed=2)])
    counts = [ears.audio_tokens(f) for f in audio.frames]
    swapped = Audio((1, 0), audio.frames, encoded=False)  # as many in the batch, but not in each row
    with pytest.raises(InputError, match=f"item 0 .* has {counts[0]} audio tokens for {counts[1]} features"):
        ears.embed(tokens, swapped)
    with pytest.raises(InputError, match=f"item 1 .* has {counts[1]} audio tokens for 0 features"):
        ears.embed(tokens, Audio((0,), audio.frames[:1], encoded=False))
    with pytest.raises(InputError, match=f"item 0 .* has {counts[0]} audio tokens for 0 features"):
        ears.embed(tokens)


def test_a_prompt_that_lacks_the_audio_is_refused(ears: AudioModel) -> None:
    with pytest.raises(
        InputError, match="0 audio tokens for 5 features: it must hold the audio exactly once"
    ):
        ears.prompt_ids(PARTS[1:], audio_tokens=5)


@torch.no_grad()
def test_the_adapter_acts_on_what_is_heard_and_off_is_the_base(ears: AudioModel) -> None:
    base = states(ears, ragged())
    nudge(ears)
    assert (states(ears, ragged()) - base).abs().max() > 0.01
    with ears.adapter_off():
        assert torch.equal(states(ears, ragged()), base)


def test_an_adapter_on_the_encoder_is_on_all_of_its_layers(make_ears: MakeAny) -> None:
    policy = make_ears(audio_tower=True)
    names = [n for n, _ in trained_parameters(policy) if ".audio_tower." in n and ".lora_A" in n]
    assert len(names) == 6 * len(policy.tower.layers)
    tokens, audio = prompted(policy, ragged())
    nudge(policy)  # A's gradient is zero while B is
    policy.hidden(policy.embed(tokens, audio), tokens.mask).square().mean().backward()
    unused = [name for name, part in trained_parameters(policy) if part.grad is None or not part.grad.any()]
    assert [name for name in unused if "k_proj" not in name] == []


@pytest.mark.parametrize("name", HEARING)  # with a side path it is refused
def test_full_fine_tuning_trains_exactly_what_sound_and_text_pass_through(
    make_named: MakeAny, name: str
) -> None:
    policy = make_named(name, method="full")
    assert isinstance(policy, AudioModel)
    tokens, audio = prompted(policy, ragged())
    policy.logits(policy.hidden(policy.embed(tokens, audio), tokens.mask)).square().mean().backward()
    assert [name for name, part in trained_parameters(policy) if part.grad is None] == []
    trained = {id(part) for _, part in trained_parameters(policy)}
    assert sum(id(part) in trained for part in policy.tower.parameters()) > 20


def test_the_fingerprint_follows_the_encoder_and_nothing_else(ears: AudioModel) -> None:
    first = ears.encoder_fingerprint()
    with torch.no_grad():
        ears.base.get_output_embeddings().weight.add_(1)
    assert ears.encoder_fingerprint() == first
    with torch.no_grad():
        ears.tower.conv1.weight[0, 0, 0] += 1e-3
    assert ears.encoder_fingerprint() != first


def test_what_hears_stays_in_evaluation_mode_but_for_its_adapters_dropout(make_ears: MakeAny) -> None:
    policy = make_ears(dropout=0.1)
    policy.train()
    assert policy.language_model.training
    assert not any(layer.training for layer in policy.tower.modules())
    tuned = make_ears(audio_tower=True, dropout=0.1)
    tuned.train()
    training = [name for name, part in tuned.tower.named_modules() if part.training]
    assert training
    assert all("lora_dropout" in name for name in training)
    tuned.eval()
    assert not any(part.training for part in tuned.modules())


def test_extractor_pads_on_the_right(ears: AudioModel) -> None:
    assert ears.extractor.padding_side == "right"
