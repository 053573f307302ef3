"""Checks of a policy's audio: padding sides, token counts, and parity of the encoder and of a batch."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from lalm_ambig.audio.reading import RATE_HZ
from lalm_ambig.checks.outcome import CheckResult, check_result
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.audio_model import AudioModel

CLIPS_S = (0.5, 1.7, 3.0)
TOLERANCE = {torch.float32: 2e-3, torch.bfloat16: 0.15, torch.float16: 0.03}
"""Largest difference that rounding explains, as a share of the root mean square of the values."""
PARTS = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "Which emotion do listeners hear?"}]


def check_audio(policy: AudioModel) -> Iterator[CheckResult]:
    """Check everything between a clip and the decoder. The last two checks need equal counts."""
    yield _sides(policy)
    counts = _counts(policy)
    yield counts
    if counts.ok:
        yield _window(policy)
        yield _batch(policy)


def clips(policy: AudioModel) -> list[Float[Tensor, " _"]]:
    """Swelling noise of several lengths within the policy's window, as 16 kHz waveforms."""
    generator = torch.Generator().manual_seed(0)
    lengths = [round(min(seconds, policy.window_s) * RATE_HZ) for seconds in CLIPS_S]
    swell = [1.1 + torch.sin(torch.linspace(0, 9, n)) for n in lengths]
    return [0.1 * s * torch.randn(len(s), generator=generator) for s in swell]


def prompted(policy: AudioModel, waveforms: list[Float[Tensor, " _"]]) -> tuple[Tokens, Audio]:
    """One prompt per waveform, left-padded."""
    frames = tuple(policy.log_mel(clip).to(policy.device) for clip in waveforms)
    prompts = [policy.prompt_ids(PARTS, audio_tokens=policy.audio_tokens(f)) for f in frames]
    tokens = pad(prompts, policy.pad_id, side="left").to(policy.device)
    return tokens, Audio(tuple(range(len(frames))), frames, encoded=False)


def difference(one: Float[Tensor, "token channel"], other: Float[Tensor, "token channel"]) -> float:
    """Largest absolute difference, as a share of the second tensor's root mean square."""
    return float((one.float() - other.float()).abs().max() / other.float().square().mean().sqrt())


def tolerance(policy: AudioModel) -> float:
    """Largest difference that rounding explains, for the type of the policy's embeddings."""
    dtype = policy.base.get_input_embeddings().weight.dtype
    return TOLERANCE[dtype]


def _sides(policy: AudioModel) -> CheckResult:
    extractor, tokenizer = policy.extractor.padding_side, policy.tokenizer.padding_side
    return check_result(
        "padding sides",
        (extractor, tokenizer) == ("right", "left"),
        f"feature extractor {extractor}, tokenizer {tokenizer}",
        remedy="set the extractor's to right (else the model hears silence) and the tokenizer's to left, after loading",
    )


@torch.inference_mode()
def _counts(policy: AudioModel) -> CheckResult:
    frames = [policy.log_mel(clip) for clip in clips(policy)]
    tokens = [policy.audio_tokens(f) for f in frames]
    features = [len(f) for f in policy.encode_audio(frames)]
    return check_result(
        "audio tokens = features",
        tokens == features and min(tokens) > 0,
        f"{tokens} tokens, {features} features",
        remedy="the policy's audio_tokens must count what its encoder returns; is this checkpoint of its class?",
    )


@torch.inference_mode()
def _window(policy: AudioModel) -> CheckResult:
    waveforms = clips(policy)
    worst = 0.0
    for clip in waveforms:
        expected, _ = policy.reference_embeddings(clip)
        with policy.hearing(()):
            (features,) = policy.encode_audio([policy.log_mel(clip)])
            worst = max(worst, difference(policy.project(features), expected))
    return check_result(
        "heard = the class's own forward",
        worst <= tolerance(policy),
        f"embeddings differ by {worst:.2g} of their size",
        remedy="do not train with this transformers release: report it, with the versions above",
    )


@torch.inference_mode()
def _batch(policy: AudioModel) -> CheckResult:
    waveforms = clips(policy)
    batched = _last(policy, waveforms)
    single = torch.cat([_last(policy, [clip]) for clip in waveforms])
    worst = difference(batched, single)
    return check_result(
        "a batch = each item alone",
        worst <= 5 * tolerance(policy),
        f"hidden states differ by {worst:.2g} of their size",
        remedy="prompts must be left-padded and masked; try --policy.attention eager",
    )


def _last(policy: AudioModel, waveforms: list[Float[Tensor, " _"]]) -> Tensor:
    tokens, audio = prompted(policy, waveforms)
    return policy.hidden(policy.embed(tokens, audio), tokens.mask, ids=tokens.ids)[:, -1]
