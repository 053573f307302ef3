"""The audio path is transformers' own forward on the whole window, but for its cost."""

from pathlib import Path

import pytest
import torch
from small_model import noise
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.tiny import WINDOW_S, Tiny
from lalm_ambig.policies.weights.lora import Adapter

PARTS = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "which emotion do listeners hear?"}]
LENGTHS_S = (0.1, 0.11, 0.333, 1.0, 2.7, *(WINDOW_S + more for more in (-0.071, -0.03, -0.001, 0, 0.5)))


@pytest.fixture(scope="module")
def plain_model(tiny_folder: Path) -> Qwen2AudioForConditionalGeneration:
    model = Qwen2AudioForConditionalGeneration.from_pretrained(tiny_folder, dtype="float32")
    return model.eval()


def processed(policy: Tiny, clips: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """transformers' own inputs for a prompt with each clip."""
    text = policy.tokenizer.apply_chat_template(
        [{"role": "user", "content": PARTS}], tokenize=False, add_generation_prompt=True
    )
    sounds = [clip.numpy() for clip in clips]
    inputs = AutoProcessor.from_pretrained(policy.checkpoint())(
        text=[text] * len(clips), audio=sounds, sampling_rate=16_000, padding=True, return_tensors="pt"
    )
    return dict(inputs)


def encoded(policy: Tiny, clips: list[torch.Tensor]) -> tuple[Tokens, Audio]:
    """Our own inputs for the same."""
    frames = tuple(policy.log_mel(clip) for clip in clips)
    prompts = [policy.prompt_ids(PARTS, audio_tokens=policy.audio_tokens(f)) for f in frames]
    return pad(prompts, policy.pad_id, side="left"), Audio(tuple(range(len(clips))), frames, encoded=False)


@torch.no_grad()
@pytest.mark.parametrize("seconds", LENGTHS_S)
def test_own_frames_equal_transformers_on_the_whole_window(
    tiny: Tiny, plain_model: Qwen2AudioForConditionalGeneration, seconds: float
) -> None:
    clip = noise(seconds, seed=3)
    inputs = processed(tiny, [clip])
    tokens, audio = encoded(tiny, [clip])
    assert tokens.ids.tolist() == inputs["input_ids"].tolist()
    expected = plain_model.model(**inputs).last_hidden_state
    got = tiny.hidden(tiny.embed(tokens, audio), tokens.mask)
    torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-3)
    silent = tiny.hidden(tiny.embed(*encoded(tiny, [0.01 * clip.flip(0)])), tokens.mask)
    assert (silent - expected).abs().max() > 0.01  # the sound is really heard


@torch.no_grad()
def test_a_batch_equals_transformers_and_each_clip_alone(
    tiny: Tiny, plain_model: Qwen2AudioForConditionalGeneration
) -> None:
    clips = [noise(seconds, seed=n) for n, seconds in enumerate((0.4, 3.1, 1.2))]
    inputs = processed(tiny, clips)
    tokens, audio = encoded(tiny, clips)
    assert tokens.ids.tolist() == inputs["input_ids"].tolist()  # left padding, both
    expected = plain_model.model(**inputs).last_hidden_state[:, -1]
    got = tiny.hidden(tiny.embed(tokens, audio), tokens.mask)[:, -1]
    torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-3)
    for row, clip in enumerate(clips):
        single, sound = encoded(tiny, [clip])
        alone = tiny.hidden(tiny.embed(single, sound), single.mask)[:, -1]
        torch.testing.assert_close(got[row : row + 1], alone, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("content", "expected"), [(None, "is empty"), ("{}", "has a config.json without model_type")]
)
def test_a_folder_without_a_checkpoint_is_one_line(
    content: str | None, expected: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    policy = Qwen2Audio(str(tmp_path), adapter=Adapter())
    with pytest.raises(InputError, match=f"policy.path: .*{expected}") as raised:
        policy.load()
    assert "\n" not in str(raised.value)


def test_weights_that_are_no_safetensors_are_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    for file in tiny_folder.iterdir():
        if file.name != "model.safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match=r"model\.safetensors is not a safetensors file"):
        Qwen2Audio(str(tmp_path), adapter=Adapter()).load()


def test_standardising_needs_a_trained_projector() -> None:
    with pytest.raises(InputError, match="standardise_audio starts the projector anew"):
        Qwen2Audio("x", adapter=Adapter(), standardise_audio=True)
