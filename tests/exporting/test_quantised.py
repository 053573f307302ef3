"""An export of a run on a quantised base: the adapter on either base, and a merged model of dequantised weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_checkpoints import write_causal_lm, write_omni
from small_model import nudge
from test_weights import probe_of

from lalm_ambig.exporting.card import loading_lines
from lalm_ambig.exporting.weights import write_weights
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.weights.quantised_base import Quantize


def trained(family: str, folder: Path, kind: Quantize) -> Policy:
    source = write_omni(folder) if family == "omni" else write_causal_lm(folder, "llama")
    torch.manual_seed(1)
    make = Qwen2_5Omni if family == "omni" else CausalLM
    policy: Policy = make(str(source), quantize=kind)
    policy.load()
    nudge(policy, by=0.02)
    return policy.eval()  # type: ignore[return-value]


@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.parametrize("family", ["llama", "omni"])
def test_an_adapter_answers_alike_on_the_quantised_base_and_not_on_the_plain_one(
    tmp_path: Path, family: str, kind: Quantize
) -> None:
    policy = trained(family, tmp_path / "base", kind)
    checked = write_weights(policy, tmp_path / "out", "adapter", probe=probe_of(policy), dtype=torch.float32)
    assert checked.on_plain is not None and checked.moved is not None
    assert checked.difference.logit <= 1e-5 * checked.difference.largest
    assert checked.on_plain.logit > 1e-3 * checked.difference.largest
    assert f"(on the plain base model {checked.on_plain.logit:.2g}" in checked.line


@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.parametrize(
    ("family", "dtype"), [("llama", torch.float32), ("omni", torch.float32), ("llama", torch.bfloat16)]
)
def test_a_merged_model_is_the_dequantised_base_with_the_adapter_added(
    tmp_path: Path, family: str, kind: Quantize, dtype: torch.dtype
) -> None:
    policy = trained(family, tmp_path / "base", kind)
    layer = policy.layers[1].mlp.up_proj  # type: ignore[union-attr]
    weight = layer.base_layer.plain_weight(torch.float32)
    added = 2 * layer.lora_B.default.weight @ layer.lora_A.default.weight
    expected = (weight + added).detach().to(dtype)
    checked = write_weights(policy, tmp_path / "out", "merged", probe=probe_of(policy), dtype=dtype)
    allowed = 1e-5 if dtype is torch.float32 else 0.03
    assert checked.difference.logit <= allowed * checked.difference.largest
    assert checked.on_plain is None
    written = load_file(tmp_path / "out" / "model.safetensors")
    name = next(key for key in written if key.endswith("layers.1.mlp.up_proj.weight"))
    torch.testing.assert_close(written[name], expected)
    assert {value.dtype for value in written.values()} == {dtype}


def test_the_lines_that_load_an_adapter_make_the_base_beside_which_it_was_trained() -> None:
    plain, packed, whole = (
        loading_lines("adapter", "LlamaForCausalLM", base="b", address="a", quantize=kind)
        for kind in (None, "nf4", "int8")
    )
    assert packed[-1] == (
        'model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained("b", quantization_config='
        'BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")), "a")'
    )
    assert whole[1:] == plain and "int8" in whole[0]
    merged = loading_lines("merged", "LlamaForCausalLM", base="b", address="a", quantize="nf4")
    assert not any("BitsAndBytes" in line for line in merged)
