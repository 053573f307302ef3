"""Qwen2.5-Omni's Thinker: how it is found in its repository, what it refuses, and what stays frozen."""

from pathlib import Path

import pytest
import torch
from small_checkpoints import write_whole_omni
from small_model import noise
from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import _get_feat_extract_output_lengths

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.policies.audio.mel import padded_window
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.weights.lora import Adapter, parameter_counts, trained_parameters

PARTS = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "which emotion?"}]


def loaded(folder: Path, **adapter: object) -> Qwen2_5Omni:
    torch.manual_seed(0)
    policy = Qwen2_5Omni(str(folder), adapter=Adapter(**adapter))  # type: ignore[arg-type]
    policy.load()
    policy.eval()
    return policy


def test_the_hubs_layout_is_the_thinker_inside_the_whole_model(small_folders: Path, tmp_path: Path) -> None:
    alone = loaded(small_folders / "omni")
    inside = loaded(write_whole_omni(tmp_path / "hub", small_folders / "omni"))
    for (name, ours), (_, theirs) in zip(alone.named_parameters(), inside.named_parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert inside.prompt_ids(PARTS, audio_tokens=3) == alone.prompt_ids(PARTS, audio_tokens=3)
    assert inside.audio_token_id == alone.audio_token_id
    assert inside.end_ids == alone.end_ids


def test_a_placeholder_is_as_many_tokens_as_the_processor_writes(small_folders: Path) -> None:
    policy = loaded(small_folders / "omni")
    for seconds in (0.03, 0.5, 1.99, 2.0, 2.01, 7.3):
        frames = policy.log_mel(noise(seconds, seed=0))
        expected = int(_get_feat_extract_output_lengths(frames.shape[-1]))
        ids = policy.prompt_ids(PARTS, audio_tokens=policy.audio_tokens(frames))
        assert ids.count(policy.audio_token_id) == expected


def test_positions_have_three_equal_axes(small_folders: Path) -> None:
    policy = loaded(small_folders / "omni")
    positions = torch.tensor([[0, 1, 2], [0, 0, 1]])
    assert policy.rotary_positions(positions).tolist() == [positions.tolist()] * 3


def test_a_miscount_that_transformers_lets_pass_is_refused_here(small_folders: Path) -> None:
    """transformers' own forward puts the first row's surplus into the second row."""
    policy = loaded(small_folders / "omni")
    clips = [noise(seconds, seed=1) for seconds in (0.5, 0.4)]
    ids = torch.full((2, 10), policy.audio_token_id)  # of 12 and 10 features
    mel, own = padded_window(policy.extractor, clips)
    silently = policy.base.model(input_ids=ids, input_features=mel, feature_attention_mask=own)
    assert silently.last_hidden_state.shape == (2, 10, 64)
    audio = Audio((0, 1), tuple(policy.log_mel(clip) for clip in clips), encoded=False)
    with pytest.raises(InputError, match="item 0 of the batch has 10 audio tokens for 12 features"):
        policy.embed(Tokens(ids, torch.ones_like(ids, dtype=torch.bool)), audio)


def test_what_nothing_passes_through_stays_frozen_under_full_fine_tuning(small_folders: Path) -> None:
    policy = loaded(small_folders / "omni", method="full")
    frozen = {name for name, part in policy.named_parameters() if not part.requires_grad}
    eyes = {name for name, _ in policy.named_parameters() if ".visual." in name}
    assert eyes
    assert frozen == eyes | {"model.model.audio_tower.audio_bos_eos_token.weight"}
    counts = parameter_counts(policy)
    assert 0 < counts["trained"] < counts["parameters"]


def test_lora_on_the_encoder_leaves_the_eyes_alone(small_folders: Path) -> None:
    policy = loaded(small_folders / "omni", audio_tower=True)
    names = [name for name, _ in trained_parameters(policy)]
    assert any(".audio_tower." in name for name in names)
    assert not any(".visual." in name for name in names)


def test_a_fully_tuned_folder_is_a_checkpoint_of_its_own(small_folders: Path, tmp_path: Path) -> None:
    policy = loaded(small_folders / "omni", method="full")
    with torch.no_grad():
        for _, part in trained_parameters(policy):
            part.add_(0.01)
    policy.save(tmp_path)
    other = loaded(tmp_path)
    clip = noise(0.8, seed=2)
    (ours,), (theirs,) = (p.encode_audio([p.log_mel(clip)]) for p in (policy, other))
    assert torch.equal(ours, theirs)
    for (name, one), (_, two) in zip(
        policy.base.named_parameters(), other.model.unload().named_parameters(), strict=True
    ):
        assert torch.equal(one, two), name


def test_a_projector_of_its_own_is_refused() -> None:
    with pytest.raises(InputError, match=r"Qwen2\.5-Omni has no projector of its own"):
        Qwen2_5Omni("x", adapter=Adapter(projector=True))


def test_a_checkpoint_of_another_class_is_one_line(tiny_folder: Path) -> None:
    expected = r"is of the type qwen2_audio, not qwen2_5_omni_thinker. Use configs/policy/qwen2_audio.yaml"
    with pytest.raises(InputError, match=expected) as raised:
        loaded(tiny_folder)
    assert "\n" not in str(raised.value)
