"""An export answers as the policy does: adapter and merged model of every family, and refusals."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from small_checkpoints import write_causal_lm, write_omni
from small_model import MakePolicy, noise, nudge
from transformers import AutoModelForCausalLM, Qwen2AudioForConditionalGeneration

from lalm_ambig.core.errors import InputError
from lalm_ambig.exporting.parity import (
    LogitDifference,
    ParityProbe,
    ProbePrompt,
    difference,
    policy_logits,
    require_parity,
)
from lalm_ambig.exporting.weights import ParityReport, write_weights
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.weights.lora import Adapter

HEARD = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "which emotion?"}]
FAMILIES = ("tiny", "projector", "llama", "tied", "omni")
EPSILON = {torch.float32: 1e-5, torch.bfloat16: 0.03}
"""Share of the largest logit; measured, then three times that."""


def new_policy(family: str, folder: Path, make_policy: MakePolicy, *, method: str = "lora") -> Policy:
    """A trained policy in float32."""
    policy: Policy
    if family in ("tiny", "projector"):
        return moved(make_policy(method=method, projector=family == "projector"))
    if family == "omni":
        policy = Qwen2_5Omni(str(write_omni(folder)), adapter=Adapter(method))  # type: ignore[arg-type]
    else:
        source = write_causal_lm(folder, "llama", tie_word_embeddings=family == "tied")
        policy = CausalLM(str(source), adapter=Adapter(method))  # type: ignore[arg-type]
    torch.manual_seed(1)
    policy.load()
    return moved(policy.float())


def moved(policy: Policy) -> Policy:
    nudge(policy, by=0.02)
    policy.eval()
    return policy


def probe_of(policy: Policy) -> ParityProbe:
    """Two questions, with sound where the policy hears."""
    if not policy.window_s:
        texts = [
            policy.prompt_ids([{"type": "text", "text": text}]) for text in ("which emotion?", "is it happy?")
        ]
        return ParityProbe(tuple(ProbePrompt(tuple(ids), None) for ids in texts), (5, 6, 7), "test")
    prompts = []
    for seed, seconds in enumerate((0.6, 1.1)):
        samples = noise(seconds, seed=seed)
        ids = policy.prompt_ids(HEARD, audio_tokens=policy.audio_tokens(policy.log_mel(samples)))
        prompts.append(ProbePrompt(tuple(ids), samples))
    return ParityProbe(tuple(prompts), (5, 6, 7), "test")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_model_answers_as_the_policy(
    make_policy: MakePolicy, tmp_path: Path, family: str, dtype: torch.dtype
) -> None:
    policy = new_policy(family, tmp_path / "base", make_policy)
    checked = write_weights(policy, tmp_path, "merged", probe=probe_of(policy), dtype=dtype)
    assert checked.moved is not None
    assert checked.moved.logit > 0.05 * checked.difference.largest  # or parity would say nothing
    assert checked.difference.logit <= EPSILON[dtype] * checked.difference.largest
    assert checked.difference.share <= EPSILON[dtype]
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} == {dtype}
    assert (tmp_path / "generation_config.json").is_file()
    assert not (tmp_path / "adapter_config.json").exists()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_answers_as_the_policy_in_plain_peft(
    make_policy: MakePolicy, tmp_path: Path, family: str
) -> None:
    policy = new_policy(family, tmp_path / "base", make_policy)
    checked = write_weights(policy, tmp_path, "adapter", probe=probe_of(policy), dtype=torch.bfloat16)
    assert checked.dtype is torch.float32
    assert checked.difference.logit <= 1e-5 * checked.difference.largest
    assert (tmp_path / "adapter_model.safetensors").is_file()
    named = json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert "/" not in named


@pytest.mark.parametrize("family", ["tiny", "omni"])
def test_a_fully_tuned_model_is_written_as_it_is(
    make_policy: MakePolicy, tmp_path: Path, family: str
) -> None:
    policy = new_policy(family, tmp_path / "base", make_policy, method="full")
    before = {name: value.clone() for name, value in policy.base.state_dict().items()}
    checked = write_weights(policy, tmp_path, "merged", probe=probe_of(policy), dtype=torch.float32)
    assert checked.moved is None and "training moved" not in checked.line
    saved = load_file(tmp_path / "model.safetensors")
    assert sum(value.double().sum() for value in saved.values()) == pytest.approx(
        float(sum(before[name].double().sum() for name in before)), rel=1e-9
    )


def test_merging_adds_the_scaled_product_of_the_adapter(
    make_policy: MakePolicy, tiny_folder: Path, tmp_path: Path
) -> None:
    policy = moved(make_policy(rank=4, alpha=12.0))
    layer = policy.language_model.layers[1].mlp.up_proj  # type: ignore[index, union-attr]
    a, b = (getattr(layer, part).default.weight.detach().clone() for part in ("lora_A", "lora_B"))
    write_weights(policy, tmp_path, "merged", probe=probe_of(policy), dtype=torch.float32)
    merged, base = (load_file(folder / "model.safetensors") for folder in (tmp_path, tiny_folder))
    name = next(key for key in merged if key.endswith("layers.1.mlp.up_proj.weight"))
    torch.testing.assert_close(merged[name], base[name] + 3 * b @ a)
    norms = [key for key in merged if "norm" in key]
    assert norms and all(torch.equal(merged[key], base[key]) for key in norms)


def test_a_merged_model_answers_alike_under_auto_classes(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = new_policy("llama", tmp_path / "base", make_policy)
    probe = probe_of(policy)
    expected = policy_logits(policy, probe)
    write_weights(policy, tmp_path, "merged", probe=probe, dtype=torch.float32)
    alone = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    logits = [alone(torch.tensor([p.ids])).logits[0, -1].detach() for p in probe.prompts]
    assert difference(expected, logits, probe).logit < 1e-4


def test_an_adapter_loads_by_the_lines_of_its_card(
    make_policy: MakePolicy, tiny_folder: Path, tmp_path: Path
) -> None:
    policy = moved(make_policy())
    adapter = {name: value.clone() for name, value in policy.named_parameters() if "lora" in name}
    write_weights(policy, tmp_path, "adapter", probe=probe_of(policy), dtype=torch.float32)
    alone = PeftModel.from_pretrained(
        Qwen2AudioForConditionalGeneration.from_pretrained(tiny_folder), tmp_path
    )
    now = dict(alone.named_parameters())
    assert adapter and all(
        torch.equal(now[name.removeprefix("model.")], value) for name, value in adapter.items()
    )


@pytest.mark.parametrize("form", ["adapter", "merged"])
def test_weights_that_are_not_the_policys_are_refused(
    make_policy: MakePolicy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    policy = moved(make_policy())
    save = type(policy).save

    def spoilt(self: Any, folder: Path) -> None:
        save(self, folder)
        file = next(folder.glob("*model.safetensors"))
        weights = load_file(file)
        name = next(key for key in weights if "layers.3.mlp.down_proj" in key)
        save_file({**weights, name: 1.1 * weights[name]}, file, metadata={"format": "pt"})

    monkeypatch.setattr(type(policy), "save", spoilt)
    with pytest.raises(InputError, match=r"the float32 weights give logits up to .* from the policy's"):
        write_weights(policy, tmp_path, form, probe=probe_of(policy), dtype=torch.float32)


def test_an_adapter_with_numbers_that_are_none_is_not_merged(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = moved(make_policy())
    layer = policy.language_model.layers[0].mlp.up_proj  # type: ignore[index, union-attr]
    layer.lora_B.default.weight.data[0, 0] = float("nan")
    with pytest.raises(InputError, match="the adapter cannot be merged: NaNs detected"):
        write_weights(policy, tmp_path, "merged", probe=probe_of(policy), dtype=torch.float32)


def test_a_quantized_base_is_not_merged(make_policy: MakePolicy, tmp_path: Path) -> None:
    policy = moved(make_policy())
    policy.base.hf_quantizer = SimpleNamespace(quantization_config=SimpleNamespace(quant_method="awq"))
    with pytest.raises(
        InputError, match=r"--merged: the base model is quantized \(awq\).*export the --adapter"
    ):
        write_weights(policy, tmp_path, "merged", probe=probe_of(policy), dtype=torch.float32)


def test_differences_are_those_of_the_worst_prompt() -> None:
    probe = ParityProbe((ProbePrompt((1,), None), ProbePrompt((2,), None)), (0, 2), "two")
    expected = [torch.tensor([0.0, -4.0, 0.0]), torch.tensor([1.0, 2.0, 3.0])]
    actual = [torch.tensor([0.0, -3.5, 0.0]), torch.tensor([1.0, 2.0, 3.25])]
    result = difference(expected, actual, probe)
    assert (result.logit, result.largest) == (0.5, 4.0)
    odds = torch.tensor([2.0, 2.25]).sigmoid()  # of class 2 against class 0, at the second prompt
    assert result.share == pytest.approx(float(odds[1] - odds[0]), rel=1e-5)
    all_tokens = difference(expected, actual, ParityProbe(probe.prompts, (), "no classes"))
    assert all_tokens.share == pytest.approx(
        float(actual[1].softmax(-1)[2] - expected[1].softmax(-1)[2]), rel=1e-4
    )


@pytest.mark.parametrize(
    ("dtype", "share"), [(torch.float32, 3e-4), (torch.float16, 1e-2), (torch.bfloat16, 5e-2)]
)
def test_the_tolerance_is_a_share_of_the_largest_logit(dtype: torch.dtype, share: float) -> None:
    require_parity(LogitDifference(20 * share * 0.99, 20.0, 0.0), dtype)
    for wrong in (20 * share * 1.01, float("nan"), float("inf")):
        with pytest.raises(InputError, match=rf"\({share:g} of the largest logit\); nothing was written"):
            require_parity(LogitDifference(wrong, 20.0, 0.0), dtype)


def test_rounding_as_large_as_training_is_warned_of() -> None:
    moved_by = LogitDifference(0.1, 5.0, 0.01)
    assert ParityReport(LogitDifference(0.04, 5.0, 0.0), moved_by, torch.bfloat16).warning is None
    warning = ParityReport(LogitDifference(0.06, 5.0, 0.0), moved_by, torch.bfloat16).warning
    assert warning is not None and "--dtype float32" in warning
