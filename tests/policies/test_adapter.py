"""What is trained: where LoRA sits, what is saved, and what refuses to be loaded."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from small_model import MakePolicy, noise, nudge
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Audio, Tokens
from lalm_ambig.data.encoding import pad
from lalm_ambig.policies.audio.standardised import StandardisedLinear
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import Adapter, parameter_counts, trained_parameters

SETTINGS = ({}, {"projector": True}, {"audio_tower": True}, {"projector": True, "audio_tower": True})
PARTS = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "which emotion?"}]


def inputs(policy: Tiny) -> tuple[Tokens, Audio]:
    frames = tuple(policy.log_mel(noise(seconds, seed=n)) for n, seconds in enumerate((0.4, 1.0)))
    prompts = [policy.prompt_ids(PARTS, audio_tokens=policy.audio_tokens(f)) for f in frames]
    return pad(prompts, policy.pad_id, side="left"), Audio((0, 1), frames, encoded=False)


@torch.no_grad()
def states(policy: Tiny) -> torch.Tensor:
    tokens, audio = inputs(policy)
    return policy.hidden(policy.embed(tokens, audio), tokens.mask)[:, -1]


@torch.no_grad()
def plain_states(model: torch.nn.Module, policy: Tiny) -> torch.Tensor:
    """transformers' own forward of a model that this project has not touched, on the same prompts."""
    text = policy.tokenizer.apply_chat_template(
        [{"role": "user", "content": PARTS}], tokenize=False, add_generation_prompt=True
    )
    clips = [noise(seconds, seed=n).numpy() for n, seconds in enumerate((0.4, 1.0))]
    prepared = AutoProcessor.from_pretrained(policy.checkpoint())(
        text=[text] * 2, audio=clips, sampling_rate=16_000, padding=True, return_tensors="pt"
    )
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    hidden: torch.Tensor = base.model(**prepared).last_hidden_state[:, -1]
    return hidden


@pytest.mark.parametrize("settings", SETTINGS)
def test_only_what_was_asked_for_is_trained(make_policy: MakePolicy, settings: dict[str, bool]) -> None:
    names = [name for name, _ in trained_parameters(make_policy(**settings))]
    language = [name for name in names if ".language_model.layers." in name]
    layers = {name.split(".")[-4] for name in language}
    assert layers == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert len(language) == 4 * 7 * 2  # layers, modules, A and B
    assert any("audio_tower" in name for name in names) == settings.get("audio_tower", False)
    assert any("multi_modal_projector" in name for name in names) == settings.get("projector", False)
    rest = [n for n in names if not any(part in n for part in ("language_model", "audio_tower", "projector"))]
    assert rest == []
    assert all("lora_" in name for name in names if "projector" not in name)


def test_full_fine_tuning_trains_everything(make_policy: MakePolicy) -> None:
    numbers = parameter_counts(make_policy(method="full"))
    assert numbers["trained"] == numbers["parameters"] > 1_000_000


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_fresh_adapter_has_no_effect(
    make_policy: MakePolicy, tiny_folder: Path, settings: dict[str, bool]
) -> None:
    policy = make_policy(**settings)
    with policy.adapter_off():
        base = states(policy)
    assert torch.equal(states(policy), base)
    plain = Qwen2AudioForConditionalGeneration.from_pretrained(tiny_folder, dtype="float32").eval()
    torch.testing.assert_close(base, plain_states(plain, policy), atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("settings", SETTINGS)
def test_adapter_off_is_the_base_after_training_moved_everything(
    make_policy: MakePolicy, settings: dict[str, bool]
) -> None:
    policy = make_policy(**settings)
    base = states(policy)
    nudge(policy)
    moved = states(policy)
    with policy.adapter_off():
        off = states(policy)
    assert torch.equal(off, base)
    assert (moved - base).abs().max() > 0.01
    assert torch.equal(states(policy), moved)


@pytest.mark.parametrize("settings", [*SETTINGS, {"projector": True, "standardise_audio": True}])
def test_a_saved_adapter_needs_peft_alone(
    make_policy: MakePolicy, tiny_folder: Path, tmp_path: Path, settings: dict[str, bool]
) -> None:
    policy = make_policy(**settings)
    if settings.get("standardise_audio"):
        policy.standardise(torch.linspace(-1, 1, 128), torch.linspace(0.5, 3, 128))
    nudge(policy)
    policy.save(tmp_path)
    base = Qwen2AudioForConditionalGeneration.from_pretrained(tiny_folder, dtype="float32")
    alone = PeftModel.from_pretrained(base, tmp_path).eval()
    torch.testing.assert_close(plain_states(alone, policy), states(policy), atol=3e-4, rtol=1e-3)


def test_standardising_survives_saving_and_keeps_training(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy(projector=True, standardise_audio=True)
    policy.standardise(torch.linspace(-1, 1, 128), torch.linspace(0.5, 3, 128))
    nudge(policy)
    before = states(policy)
    policy.save(tmp_path)
    projector = policy.base.model.multi_modal_projector.modules_to_save["default"]
    assert isinstance(projector.linear, StandardisedLinear)
    assert torch.equal(states(policy), before)
    other = make_policy(projector=True)
    other.load_weights(tmp_path)
    torch.testing.assert_close(states(other), before, atol=3e-4, rtol=1e-3)


def test_a_standardised_projector_starts_at_the_scale_of_the_embeddings(make_policy: MakePolicy) -> None:
    policy = make_policy(projector=True, standardise_audio=True)
    mean, deviation = torch.full((128,), 4.0), torch.linspace(0.5, 3, 128)
    policy.standardise(mean, deviation)
    features = mean + deviation * torch.randn(4000, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out = policy.base.model.multi_modal_projector(features)
    scale = policy.base.get_input_embeddings().weight.square().mean().sqrt()
    assert out.std() == pytest.approx(float(scale), rel=0.1)
    assert abs(float(out.mean())) < 0.05 * float(scale)
    with policy.adapter_off(), torch.no_grad():
        untouched = policy.base.model.multi_modal_projector(features)
    assert not torch.allclose(untouched, out, atol=1e-2)


def test_a_folded_projector_is_the_same_function() -> None:
    torch.manual_seed(0)
    layer = StandardisedLinear(torch.nn.Linear(5, 3), torch.randn(5), torch.rand(5), scale=1.0)
    x = torch.randn(7, 5)
    by_hand = (x - layer.mean) / layer.deviation @ layer.weight.T + layer.bias
    torch.testing.assert_close(layer(x), by_hand)
    torch.testing.assert_close(layer.folded()(x), by_hand, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("settings", [*SETTINGS, {"method": "full"}])
def test_weights_are_read_back_exactly(
    make_policy: MakePolicy, tmp_path: Path, settings: dict[str, object]
) -> None:
    policy, other = make_policy(**settings), make_policy(**settings)
    nudge(policy, by=0.01)
    policy.save(tmp_path)
    assert not torch.equal(states(other), states(policy))
    other.load_weights(tmp_path)
    for (name, saved), (_, read) in zip(policy.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(saved, read), name
    assert torch.equal(states(other), states(policy))


def test_a_fully_tuned_folder_is_a_checkpoint_of_its_own(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy(method="full")
    nudge(policy, by=0.01)
    policy.save(tmp_path)
    torch.manual_seed(0)
    other = Qwen2Audio(str(tmp_path), adapter=Adapter())
    other.load()
    other.eval()
    assert torch.equal(states(other), states(policy))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="full fine-tuning keeps no base model"), policy.adapter_off():
        pass


def test_no_adapter_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no adapter_model.safetensors in .* Give a run's adapter folder"):
        tiny.load_weights(tmp_path)


def test_a_file_that_is_no_safetensors_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_text("<html>")
    with pytest.raises(InputError, match="not a readable safetensors file") as raised:
        tiny.load_weights(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ({"rank": 4}, r"adapter.rank is 8, and the saved adapter's is 4 .*--policy.adapter.rank 4"),
        ({"alpha": 64.0}, r"adapter.alpha is 16, and the saved adapter's is 64 .*--policy.adapter.alpha 64"),
        ({"projector": True}, "adapter.projector is false, .*is true .*--policy.adapter.projector true"),
        (
            {"audio_tower": True},
            "adapter.audio_tower is false, .*is true .*--policy.adapter.audio_tower true",
        ),
    ],
)
def test_an_adapter_of_other_settings_is_one_line_with_both_values(
    make_policy: MakePolicy, tmp_path: Path, saved: dict[str, object], expected: str
) -> None:
    other, policy = make_policy(**saved), make_policy()
    nudge(other)
    other.save(tmp_path)
    with pytest.raises(InputError, match=expected) as raised:
        policy.load_weights(tmp_path)
    assert "\n" not in str(raised.value)


def test_an_adapter_that_lacks_layers_is_one_line(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = make_policy()
    nudge(policy)
    policy.save(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    weights = {name: value for name, value in load_file(file).items() if "layers.0" not in name}
    save_file(weights, file)
    with pytest.raises(InputError, match=r"it lacks .*layers\.0.*Check policy.adapter and the base model"):
        make_policy().load_weights(tmp_path)


def test_an_adapter_without_effect_is_noted(make_policy: MakePolicy, tmp_path: Path) -> None:
    """A run whose start was the best has one."""
    policy = make_policy()
    policy.save(tmp_path)
    policy.load_weights(tmp_path)
    assert any(
        "LoRA has no effect, every lora_B is zero: this is the base model" in note for note in policy.notes
    )
    nudge(policy)
    policy.save(tmp_path / "moved")
    other = make_policy()
    other.load_weights(tmp_path / "moved")
    assert not any("no effect" in note for note in other.notes)


def test_a_whole_model_and_an_adapter_are_not_taken_for_each_other(
    make_policy: MakePolicy, tmp_path: Path
) -> None:
    full, lora = make_policy(method="full"), make_policy()
    nudge(lora)
    lora.save(tmp_path / "lora")
    full.save(tmp_path / "full")
    with pytest.raises(InputError, match=r"no config.json in .*lora"):
        full.load_weights(tmp_path / "lora")
    with pytest.raises(InputError, match=r"no adapter_model\.safetensors in"):
        lora.load_weights(tmp_path / "full")


@pytest.mark.parametrize(("key", "value"), [("num_hidden_layers", 2), ("intermediate_size", 256)])
def test_a_whole_model_of_another_shape_is_one_line(
    make_policy: MakePolicy, tmp_path: Path, key: str, value: int
) -> None:
    policy = make_policy(method="full")
    policy.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"][key] = value
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="the model is not of this policy") as raised:
        make_policy(method="full").load_weights(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_random_lora_b_at_the_start_is_refused(
    make_policy: MakePolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves_b_random(module: torch.nn.Module, _: object) -> torch.nn.Module:
        module.register_parameter("lora_B", torch.nn.Parameter(torch.ones(2)))
        return module

    monkeypatch.setattr("lalm_ambig.policies.weights.lora.get_peft_model", leaves_b_random)
    with pytest.raises(RuntimeError, match=r"a fresh adapter must have no effect, but lora_B has norm 1\.41"):
        make_policy()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"rank": 0}, "policy.adapter: rank must be at least 1, got 0"),
        ({"dropout": 1.0}, r"policy.adapter: dropout must be in \[0, 1\), got 1.0"),
        ({"method": "full", "projector": True}, "already trains the projector and the audio tower"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        Adapter(**settings)  # type: ignore[arg-type]
