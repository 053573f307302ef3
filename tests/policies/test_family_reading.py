"""Audio families where a policy is read: adapters, what leaves a GPU, sizes of features."""

from pathlib import Path

import pytest
import torch
from family_oracles import voice
from small_families import WRITERS, write_family
from small_model import nudge

from lalm_ambig.core.errors import InputError
from lalm_ambig.estimation.shapes import shapes_of
from lalm_ambig.policies.audio_lm import AudioLM
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.served_adapter import check_served

pytestmark = pytest.mark.slow


def test_a_trained_projector_alone_is_read_again(tmp_path: Path) -> None:
    """Granite's Q-former has an `encoder` of its own, which is not the audio encoder."""
    folder = write_family(tmp_path / "granite", "granite_speech")
    policies = [AudioLM(str(folder), adapter=Adapter(projector=True)) for _ in range(2)]
    for policy in policies:
        policy.load()
    nudge(policies[0])
    policies[0].save(tmp_path / "adapter")
    policies[1].load_weights(tmp_path / "adapter")
    trained = [dict(policy.named_parameters()) for policy in policies]
    names = [name for name in trained[0] if "projector.modules_to_save" in name]
    assert any("qformer.encoder" in name for name in names)
    assert all(torch.equal(trained[0][name], trained[1][name]) for name in names)


@pytest.mark.parametrize("name", ["gemma3n", "qwen2_5_omni"])
def test_the_own_forward_still_runs_when_eyes_have_left_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = write_family(tmp_path / name, name)
    plain = AudioLM(str(folder))
    plain.load()
    gone: list[str] = []

    def leave(policy: AudioLM, module: str) -> None:
        gone.append(module)
        policy.base.set_submodule(module, torch.nn.Module())

    monkeypatch.setattr(AudioLM, "set_aside", leave)
    policy = AudioLM(str(folder))
    policy.load()
    assert gone
    clip = voice(1.0, seed=0)
    assert torch.equal(policy.reference_embeddings(clip)[0], plain.reference_embeddings(clip)[0])
    assert policy.encoder_fingerprint() == plain.encoder_fingerprint()  # caches of a CPU and of a GPU are one


@torch.no_grad()
@pytest.mark.parametrize("name", WRITERS)
def test_the_estimate_counts_the_channels_that_are_cached(tmp_path: Path, name: str) -> None:
    policy = AudioLM(str(write_family(tmp_path / name, name)))
    encoder = shapes_of(policy).encoder
    policy.load()
    features = policy.encode_audio([policy.log_mel(voice(1.0, seed=0))])[0]
    assert encoder is not None
    assert encoder.features == features.shape[1]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("granite_speech_lora", "LoRA of the checkpoint's own is merged into the policy's weights"),
        ("gemma3n", "this decoder needs the token ids, too"),
    ],
)
def test_a_server_is_refused_where_it_would_compute_another_model(
    tmp_path: Path, name: str, what: str
) -> None:
    policy = AudioLM(str(write_family(tmp_path / name, name)))
    policy.load()
    with pytest.raises(InputError, match=rf"model\.engine: .*{what}"):
        check_served(policy)


@torch.no_grad()
def test_means_over_tokens_leave_out_what_fills_gemma_3ns_window(tmp_path: Path) -> None:
    policy = AudioLM(str(write_family(tmp_path / "gemma3n", "gemma3n")), audio_layers=[0])
    policy.load()
    features = policy.encode_audio([policy.log_mel(voice(1.0, seed=0))])[0]
    sound = policy.sounding(features)
    assert (len(features), len(sound)) == (188, 7)  # a token per 160 ms
    assert torch.equal(sound, features[:7])
    assert bool((features[7:] == 0).all())
