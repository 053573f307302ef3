"""A family that has no description of its own, found by the methods of its class."""

import json
from pathlib import Path

import pytest
import torch
from family_parts import MEL_BINS, TEXT, made, save
from family_tokenizers import FLAMINGO, extended_tokenizer
from transformers import GlmAsrConfig, GlmAsrForConditionalGeneration, WhisperFeatureExtractor

from lalm_ambig.checks.audio import check_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.weights.lora import Adapter, trained_parameters

EARS = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "head_dim": 16,
    "num_mel_bins": MEL_BINS,
    "max_position_embeddings": 1500,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glmasr")
    tokenizer = extended_tokenizer(
        ["<sound>"], eos_token="<|im_end|>", pad_token="<|endoftext|>", audio_token="<sound>"
    )
    config = GlmAsrConfig(
        audio_config=EARS,
        text_config={**TEXT, "vocab_size": len(tokenizer)},
        audio_token_id=tokenizer.convert_tokens_to_ids("<sound>"),
    )
    save(folder, made(config, GlmAsrForConditionalGeneration), tokenizer, "<|im_end|>", FLAMINGO)
    WhisperFeatureExtractor(feature_size=MEL_BINS, return_attention_mask=True).save_pretrained(folder)
    return folder


def test_it_hears_as_its_class_does_and_says_that_it_is_untested(folder: Path) -> None:
    policy = AudioLM(str(folder), adapter=Adapter(audio_tower=True))
    torch.manual_seed(0)
    policy.load()
    policy.eval()
    assert any("no test of this project knows it" in note for note in policy.notes)
    results = list(check_audio(policy))
    assert [result.finding for result in results if not result.ok] == []
    assert len(results) == 4
    assert any("audio_tower.layers" in name for name, _ in trained_parameters(policy))
    with pytest.raises(InputError, match="a clip is too short to be heard"):
        policy.prompt_ids([{"type": "audio", "audio_url": "x"}], audio_tokens=0)


def test_its_encoders_layers_are_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match="glmasr has no description of its own"):
        AudioLM(str(folder), audio_layers=[0]).load()


@pytest.mark.parametrize("kind", ["bert", "musicflamingo", "llama", "vibevoice_asr"])
def test_what_does_not_fit_is_refused_with_the_families_that_do(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(InputError, match=r"is of no family that hears: .* one of audioflamingo3, gemma3n"):
        AudioLM(str(tmp_path)).load()


def test_cached_features_are_those_of_the_projector_too(folder: Path) -> None:
    policy = AudioLM(str(folder))
    policy.load()
    before = policy.encoder_fingerprint()
    assert policy.encoder_fingerprint() == before
    assert all("projector" in name for name in policy.family.other_weights())
    with torch.no_grad():
        next(policy.base.model.multi_modal_projector.parameters()).add_(1)
    assert policy.encoder_fingerprint() != before
