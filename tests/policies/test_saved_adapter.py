"""Adapters of any settings that PEFT has written: used as they say, or refused with the name of what is in the way."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from small_checkpoints import write_causal_lm
from transformers import AutoModelForCausalLM

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.decoding_layers import decoding_layers
from lalm_ambig.policies.weights.lora import Adapter

IDS = torch.tensor([[5, 9, 20, 33, 7], [8, 6, 4, 2, 3]])
SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
GPT2 = {"n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 512, "bos_token_id": 0}
MIXTRAL = {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16}
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("llama", {}, {}),
    "rank": ("llama", {"r": 3}, {"rank": 3}),
    "alpha": ("llama", {"lora_alpha": 64}, {"alpha": 64.0}),
    "rank-stabilised": ("llama", {"use_rslora": True}, {}),
    "DoRA": ("llama", {"use_dora": True}, {}),
    "ranks per module": ("llama", {"rank_pattern": {"q_proj": 2, "layers.1.mlp.up_proj": 5}}, {}),
    "alphas per module": ("llama", {"alpha_pattern": {"v_proj": 64}}, {}),
    "head saved": ("llama", {"modules_to_save": ["lm_head"]}, {}),
    "embeddings saved": ("llama", {"modules_to_save": ["embed_tokens"]}, {}),
    "all biases": ("qwen2", {"bias": "all"}, {}),
    "biases of its layers": ("qwen2", {"bias": "lora_only"}, {}),
    "bias of B": ("qwen2", {"lora_bias": True, "target_modules": ["q_proj", "v_proj"]}, {}),
    "two kinds of layer": ("llama", {"target_modules": ["q_proj", "v_proj"]}, {}),
    "one layer": ("llama", {"layers_to_transform": [1]}, {}),
    "a layer left out": ("llama", {"exclude_modules": ["down_proj"]}, {}),
    "transposed weights": ("gpt2", {"fan_in_fan_out": True, "target_modules": ["c_attn", "c_fc"]}, {}),
    "fused experts": ("mixtral", {"target_parameters": ["mlp.experts.gate_up_proj"]}, {}),
    "several at once": (
        "llama",
        {
            "use_rslora": True,
            "use_dora": True,
            "alpha_pattern": {"o_proj": 4},
            "modules_to_save": ["lm_head"],
        },
        {},
    ),
}
QUICK = {"plain", "all biases", "transposed weights", "fused experts", "several at once", "ranks per module"}
UNUSUAL = (
    "alora_invocation_tokens",
    "megatron_config",
    "megatron_core",
    "trainable_token_indices",
    "init_lora_weights",
)
SETTINGS = {"gpt2": GPT2, "mixtral": MIXTRAL}


def base_at(folder: Path, family: str) -> Path:
    torch.manual_seed(0)
    return write_causal_lm(folder / "base", family, **SETTINGS.get(family, {}))


def write_adapter(base: Path, folder: Path, **settings: Any) -> Path:
    """A random adapter of these settings, all of whose weights act."""
    if "target_parameters" in settings:
        settings = {"target_modules": ["q_proj"]} | settings
    defaults: dict[str, Any] = {"r": 8, "lora_alpha": 16, "target_modules": SEVEN}
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**{**defaults, **settings}))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)
    return folder


def loaded(base: Path, **settings: Any) -> CausalLM:
    policy = CausalLM(str(base), adapter=Adapter(**settings))
    policy.load()
    policy.eval()
    return policy


@torch.no_grad()
def logits(policy: CausalLM) -> torch.Tensor:
    return policy.logits(policy.hidden(policy.embed_ids(IDS), torch.ones_like(IDS, dtype=torch.bool)))


@pytest.mark.filterwarnings("ignore:.*LoRA tensor.s. have invalid shape")  # PEFT's, over each bias of B
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in VARIANTS]
)
def test_a_saved_adapter_is_what_peft_makes_of_it(tmp_path: Path, name: str) -> None:
    family, settings, own = VARIANTS[name]
    base = base_at(tmp_path, family)
    saved = write_adapter(base, tmp_path / "adapter", **settings)
    plain = AutoModelForCausalLM.from_pretrained(base).eval()
    with torch.no_grad():
        without = plain(input_ids=IDS).logits
        expected = PeftModel.from_pretrained(plain, saved).eval()(input_ids=IDS).logits
    policy = loaded(base, **own)
    policy.load_weights(saved)
    policy.eval()
    torch.testing.assert_close(logits(policy), expected, atol=2e-5, rtol=1e-4)
    assert (expected - without).abs().max() > 0.01
    with policy.adapter_off():
        torch.testing.assert_close(logits(policy), without, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(logits(policy), expected, atol=2e-5, rtol=1e-4)
    with decoding_layers(policy, rows=4):
        torch.testing.assert_close(logits(policy), expected, atol=5e-5, rtol=1e-3)
    policy.save(tmp_path / "again")
    with torch.no_grad():
        again = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base), tmp_path / "again"
        ).eval()
        torch.testing.assert_close(again(input_ids=IDS).logits, expected, atol=2e-5, rtol=1e-4)


def test_what_is_read_anew_after_training_keeps_the_saved_settings(tmp_path: Path) -> None:
    base = base_at(tmp_path, "llama")
    saved = write_adapter(base, tmp_path / "adapter", use_rslora=True)
    policy = loaded(base)
    policy.load_weights(saved)
    policy.eval()
    before = logits(policy)
    policy.reload()
    policy.eval()
    torch.testing.assert_close(logits(policy), before)
    assert "the saved adapter's own settings are used: use_rslora" in policy.load_notes


@pytest.mark.parametrize(
    ("saved", "own", "expected"),
    [
        (
            {"lora_alpha": 64},
            {},
            "policy.adapter.alpha is 16, and the saved adapter's is 64 .*--policy.adapter.alpha 64",
        ),
        ({}, {"alpha": 2.5}, "policy.adapter.alpha is 2.5, and the saved adapter's is 16"),
        ({"r": 4}, {}, "policy.adapter.rank is 8, and the saved adapter's is 4 .*--policy.adapter.rank 4"),
        (
            {"target_modules": ["q_proj"]},
            {"targets": ["q_proj", "v_proj"]},
            "targets says on model.layers.0.self_attn.v_proj, and the other is not. Leave policy.adapter.targets out",
        ),
        ({}, {"targets": ["q_proj"]}, "the saved adapter is on .*, and the other is not"),
        (
            {"alora_invocation_tokens": [5]},
            {},
            "an adapter with alora_invocation_tokens is not computed here. Merge it",
        ),
        (
            {"trainable_token_indices": [5]},
            {},
            "an adapter with trainable_token_indices is not computed here",
        ),
        (
            {"megatron_config": {"a": 1}, "megatron_core": "megatron.core.planted"},
            {},
            "an adapter with megatron_config is not computed here",
        ),
        ({"init_lora_weights": "pissa"}, {}, "an adapter with init_lora_weights: pissa is not computed here"),
    ],
)
def test_a_contradiction_is_one_line_with_both_values(
    tmp_path: Path, saved: dict[str, Any], own: dict[str, Any], expected: str
) -> None:
    base = base_at(tmp_path, "llama")
    unusual = {name: saved[name] for name in saved if name in UNUSUAL}
    folder = write_adapter(base, tmp_path / "adapter", **{k: v for k, v in saved.items() if k not in unusual})
    written = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(written | unusual))
    policy = loaded(base, **own)
    with pytest.raises(InputError, match=expected) as raised:
        policy.load_weights(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]), "IA3"),
        (PrefixTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"), "PREFIX_TUNING"),
    ],
)
def test_another_kind_of_adapter_is_refused_by_name(tmp_path: Path, config: Any, kind: str) -> None:
    base = base_at(tmp_path, "llama")
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(tmp_path / "adapter")
    with pytest.raises(InputError, match=f"a {kind} adapter, and only LORA is loaded here. Merge it"):
        loaded(base).load_weights(tmp_path / "adapter")


@pytest.mark.parametrize("text", ["{", "[]", '{"r": 8}', '"LORA"', "null"])
def test_settings_that_are_none_are_one_line(tmp_path: Path, text: str) -> None:
    base = base_at(tmp_path, "llama")
    folder = write_adapter(base, tmp_path / "adapter")
    (folder / "adapter_config.json").write_text(text)
    with pytest.raises(InputError, match="these are no settings of a PEFT adapter"):
        loaded(base).load_weights(folder)


def test_settings_with_an_impossible_value_are_one_line(tmp_path: Path) -> None:
    base = base_at(tmp_path, "llama")
    folder = write_adapter(base, tmp_path / "adapter")
    settings = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(settings | {"target_modules": 3}))
    with pytest.raises(InputError) as raised:
        loaded(base).load_weights(folder)
    assert "\n" not in str(raised.value)


def test_pickled_weights_are_one_line(tmp_path: Path) -> None:
    base = base_at(tmp_path, "llama")
    folder = write_adapter(base, tmp_path / "adapter")
    weights = load_file(folder / "adapter_model.safetensors")
    (folder / "adapter_model.safetensors").unlink()
    torch.save(weights, folder / "adapter_model.bin")
    with pytest.raises(InputError, match="pickled weights are not read"):
        loaded(base).load_weights(folder)


def test_weights_of_the_base_beside_an_adapter_are_refused(tmp_path: Path) -> None:
    base = base_at(tmp_path, "llama")
    folder = write_adapter(base, tmp_path / "adapter")
    file = folder / "adapter_model.safetensors"
    extra = {"base_model.model.model.embed_tokens.weight": torch.zeros(4, 4)}
    save_file({**load_file(file), **extra}, file)
    with pytest.raises(InputError, match=r"it has .*embed_tokens\.weight, which the policy does not train"):
        loaded(base).load_weights(folder)


def test_an_adapter_on_fewer_layers_loads_and_says_so(tmp_path: Path) -> None:
    base = base_at(tmp_path, "llama")
    folder = write_adapter(base, tmp_path / "adapter", target_modules=["o_proj"])
    policy = loaded(base)
    policy.load_weights(folder)
    assert policy.load_notes == ["the saved adapter is on 2 layers; a new one would be on 12 more"]
