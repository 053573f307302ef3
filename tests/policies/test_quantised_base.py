"""A base of four or eight bits: its weights, what is packed, what computes with it, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from small_checkpoints import write_causal_lm, write_omni
from small_model import nudge
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Tokens
from lalm_ambig.policies.base import Policy
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.decoding_layers import decoding_layers
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.weights.lora import Adapter, parameter_counts, trained_parameters
from lalm_ambig.policies.weights.quantised_base import QuantisedLinear, Quantize, dequantise, pack, quantise

KINDS: tuple[Quantize, ...] = ("nf4", "int8")
LINEAR = [f"{leaf}_proj" for leaf in ("q", "k", "v", "o", "gate", "up", "down")]
FARTHEST = {"nf4": 0.152, "int8": 0.5 / 127}
"""Largest error of a weight, as a share of its block's or row's largest: half of the widest gap between two values."""
Make = Callable[..., CausalLM]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Quantize:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write_causal_lm(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture
def make(text_folder: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Loads the small Llama with those settings; its fresh adapter is always the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))

    def loaded(quantize: Quantize | None = None, adapter: Adapter | None = None, **settings: Any) -> CausalLM:
        torch.manual_seed(0)
        policy = CausalLM(str(text_folder), quantize=quantize, adapter=adapter, **settings)
        policy.load()
        return policy.eval()  # type: ignore[return-value]

    return loaded


def logits(policy: Policy) -> Tensor:
    ids = torch.tensor([policy.text_ids("the voice is loud and the words are calm")])
    tokens = Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
    return policy.logits(policy.hidden(policy.embed(tokens), tokens.mask))


def layer_of(weight: Tensor, kind: Quantize, bias: Tensor | None = None) -> QuantisedLinear:
    plain = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    if bias is not None:
        plain.bias = nn.Parameter(bias)
    return QuantisedLinear(plain, kind, pack(weight, kind))


def quantised_names(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, QuantisedLinear)]


def test_int8_weights_are_worked_out_by_hand() -> None:
    layer = layer_of(torch.tensor([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]]), "int8")
    assert layer.weight.tolist() == [[64, -127, 32], [0, 0, 0]]
    expected = torch.tensor([[64, -127, 32], [0, 0, 0]]) * 2 / 127
    torch.testing.assert_close(layer.plain_weight(torch.float32), expected)


def test_nf4_weights_are_those_that_bitsandbytes_packs() -> None:
    """What its version 0.50 made of these weights; the last block is a short one."""
    weight = (torch.arange(99.0) * 37 % 101 - 50).reshape(3, 33) / 7
    packed, scales = pack(weight, "nf4")
    assert bytes(packed.flatten().tolist()).hex() == (
        "04c16e29f3b05d17e29f3c05d18e2af4c16e18e3b05d17e29f3b05d18e2af4c16e18e3b04d17e29f3b05d17e2af4c06d18e7"
    )
    assert scales.view(torch.float32).tolist() == pytest.approx([50 / 7, 7.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_nf4_weights_are_those_of_the_installed_bitsandbytes(dtype: torch.dtype) -> None:
    functional = pytest.importorskip("bitsandbytes.functional", reason="the extra quantize is not installed")
    weight = torch.randn(48, 66).to(dtype)  # blocks go over the ends of rows, and the last one is shorter
    packed, state = functional.quantize_4bit(weight.float(), blocksize=64, quant_type="nf4")
    layer = layer_of(weight, "nf4")
    assert torch.equal(layer.weight, packed)
    assert torch.equal(layer.plain_weight(torch.float32), functional.dequantize_4bit(packed, state))


def test_no_weight_is_farther_off_than_half_a_gap(kind: Quantize) -> None:
    weight = torch.randn(32, 64)  # a block is a row
    layer = layer_of(weight, kind)
    error = (layer.plain_weight(torch.float32) - weight).abs()
    assert (error <= FARTHEST[kind] * weight.abs().amax(1, keepdim=True) * 1.001).all()
    assert error.max() > 0.3 * FARTHEST[kind] * weight.abs().max()
    assert (layer_of(torch.zeros(4, 64), kind).plain_weight(torch.float32) == 0).all()


def test_a_layer_and_its_gradients_are_those_of_its_plain_weight(kind: Quantize) -> None:
    inputs, weight, bias = torch.randn(2, 5, 64), torch.randn(32, 64), torch.randn(32)
    layer = layer_of(weight, kind, bias)
    plain = layer.dequantised()
    assert type(plain) is nn.Linear and not plain.weight.requires_grad
    found = []
    for one in (layer, plain):
        given, trained = inputs.clone().requires_grad_(), bias.clone().requires_grad_()
        one.bias = nn.Parameter(trained.detach())
        out = one(given)
        out.square().sum().backward()
        found.append((out, given.grad, one.bias.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_no_pass_keeps_a_plain_weight(kind: Quantize) -> None:
    layer, kept = layer_of(torch.randn(512, 512), kind), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        layer(torch.randn(2, 512, requires_grad=True))
    assert sum(kept) < 512 * 512 / 4


def test_a_layer_computes_in_the_type_of_its_input_or_of_autocast(kind: Quantize) -> None:
    layer = layer_of(torch.randn(32, 64), kind, torch.randn(32))
    inputs = torch.randn(3, 64)
    assert layer(inputs).dtype is torch.float32
    assert layer(inputs.bfloat16()).dtype is torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(inputs).dtype is torch.bfloat16
    torch.testing.assert_close(layer(inputs.bfloat16()).float(), layer(inputs), rtol=0.05, atol=0.2)


def test_another_type_of_the_model_does_not_round_the_scales(kind: Quantize) -> None:
    layer = layer_of(torch.randn(32, 64), kind)
    before = layer.plain_weight(torch.float32)
    assert torch.equal(layer.bfloat16().half().float().plain_weight(torch.float32), before)


@torch.no_grad()
def test_a_policy_without_adapter_is_the_quantised_base(make: Make, kind: Quantize) -> None:
    policy = make(kind)
    base = logits(policy)
    plain = logits(make())
    gap = (base - plain).norm() / plain.norm()
    assert 1e-4 < gap < {"nf4": 0.5, "int8": 0.03}[kind]  # of random weights; a trained model's is smaller
    nudge(policy)
    assert (logits(policy) - base).abs().max() > 0.1
    with policy.adapter_off():
        assert torch.equal(logits(policy), base)
    dequantise(policy.model)
    assert not quantised_names(policy)
    with policy.adapter_off():
        torch.testing.assert_close(logits(policy), base)


def test_training_moves_the_adapter_and_no_packed_weight(make: Make, kind: Quantize) -> None:
    policy = make(kind, Adapter(checkpoint_activations=True)).train()
    packed = {name: p.clone() for name, p in policy.named_parameters() if not p.requires_grad}
    optimizer = torch.optim.AdamW([p for _, p in trained_parameters(policy)], lr=1e-2)
    losses = []
    for _ in range(8):
        loss = -logits(policy)[0, -1].log_softmax(-1)[7]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert all(torch.equal(p, packed[name]) for name, p in policy.named_parameters() if name in packed)
    assert {p.dtype for _, p in trained_parameters(policy)} == {torch.float32}


@torch.no_grad()
def test_saved_weights_answer_alike_when_they_are_loaded(make: Make, kind: Quantize, tmp_path: Path) -> None:
    policy = make(kind)
    nudge(policy)
    policy.save(tmp_path)
    expected = logits(policy)
    again = make(kind)
    again.load_weights(tmp_path)
    assert torch.equal(logits(again.eval()), expected)
    policy.reload()
    policy.load_weights(tmp_path)
    assert torch.equal(logits(policy.eval()), expected)


@torch.no_grad()
def test_transformers_with_bitsandbytes_has_the_same_base(tmp_path: Path) -> None:
    """Rows are a multiple of a block here: on a CPU, bitsandbytes 0.50 unpacks others wrongly."""
    pytest.importorskip("bitsandbytes", reason="the extra quantize is not installed")
    torch.manual_seed(0)
    folder = write_causal_lm(tmp_path, "llama", intermediate_size=128)
    settings = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype="float32"
    )
    theirs = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=settings, device_map={"": "cpu"}
    )
    policy = CausalLM(str(folder), quantize="nf4")
    policy.load()
    ids = torch.tensor([policy.text_ids("the voice is loud and the words are calm")])
    for layer in theirs.modules():
        if "support_avx512bf16_for_cpu" in vars(layer):
            layer.support_avx512bf16_for_cpu = False  # it would compute in bfloat16
    torch.testing.assert_close(logits(policy.eval()), theirs(ids).logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_decoding_with_merged_weights_gives_the_same_states(make: Make, kind: Quantize) -> None:
    policy = make(kind)
    nudge(policy)
    expected = logits(policy)
    with decoding_layers(policy, rows=8):
        layer = policy.layers[0].mlp.up_proj  # type: ignore[union-attr]
        assert "forward" in vars(layer)
        torch.testing.assert_close(logits(policy), expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(logits(policy), expected)


def test_only_linear_layers_of_the_decoder_are_packed(
    tiny_folder: Path, tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    both = Adapter(audio_tower=True)
    policies: list[Policy] = [
        Qwen2Audio(str(tiny_folder), quantize="int8", adapter=both, audio_layers=[1]),
        Qwen2_5Omni(str(write_omni(tmp_path / "omni")), quantize="int8", adapter=both),
        CausalLM(
            str(write_causal_lm(tmp_path / "moe", "mixtral", num_local_experts=4, tie_word_embeddings=True)),
            quantize="int8",
        ),
    ]
    for policy in policies:
        policy.load()
        inside = {id(module) for block in policy.layers for module in block.modules()}
        packed = [module for module in policy.modules() if isinstance(module, QuantisedLinear)]
        assert packed and all(id(module) in inside for module in packed)
        assert type(policy.base.get_output_embeddings()) is nn.Linear
        trained = [name for name, p in policy.named_parameters() if p.requires_grad]
        assert any("lora_A" in name for name in trained)
    assert {name.rpartition(".")[0] for name in quantised_names(policies[2].layers[0])} == {
        f"self_attn.{leaf}_proj" for leaf in "qkvo"
    }  # no router, no fused experts
    assert policies[2].load_notes[0].startswith("int8 base: 8 linear layers, 1")


def test_counts_are_of_weights_and_the_skeleton_has_the_bytes(make: Make, text_folder: Path) -> None:
    plain = make()
    for kind in KINDS:
        policy = make(kind)
        assert parameter_counts(policy) == parameter_counts(plain)
        held = {name: (p.shape, p.dtype) for name, p in policy.base.named_parameters()}
        model, decoder, _ = CausalLM(str(text_folder)).on_meta()
        quantise(model, decoder, kind)
        shapes = {name: (p.shape, p.dtype) for name, p in model.named_parameters()}
        assert shapes == {
            name.replace(".base_layer", ""): value for name, value in held.items() if "lora" not in name
        }
        layer = model.model.layers[0].mlp.up_proj
        share = sum(p.numel() for p in layer.parameters()) / (layer.in_features * layer.out_features)
        assert share == {"nf4": 0.5 + 4 / 64, "int8": 1 + 4 / 64}[kind]


def test_layers_that_share_a_weight_share_the_packed_one(kind: Quantize) -> None:
    model = AutoModelForCausalLM.from_config(small_config())
    first, second = (layer.self_attn for layer in model.model.layers)
    second.q_proj.weight, second.k_proj = first.q_proj.weight, first.k_proj
    quantise(model, model.model, kind)
    assert second.q_proj is not first.q_proj and second.q_proj.weight is first.q_proj.weight
    assert second.k_proj is first.k_proj and isinstance(first.k_proj, QuantisedLinear)


def small_config() -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=32, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4
    )


def test_layers_with_an_odd_number_of_inputs_are_packed_too(kind: Quantize) -> None:
    config = small_config()
    config.intermediate_size = 33
    model = AutoModelForCausalLM.from_config(config)
    weight = model.model.layers[0].mlp.down_proj.weight.clone()
    assert quantise(model, model.model, kind).startswith(f"{kind} base: 14 linear layers")
    packed = model.model.layers[0].mlp.down_proj.plain_weight(torch.float32)
    assert (packed - weight).abs().max() <= FARTHEST[kind] * weight.abs().max() * 1.001


def test_a_frozen_base_is_not_fully_tuned(kind: Quantize) -> None:
    with pytest.raises(InputError, match=rf"policy\.quantize: {kind} weights are frozen.*method to lora"):
        CausalLM("x", quantize=kind, adapter=Adapter(method="full"))


def test_a_model_of_other_layers_is_refused(tmp_path: Path) -> None:
    gpt2 = write_causal_lm(tmp_path, "gpt2", n_embd=64, n_layer=2, n_head=4, n_positions=2048)
    with pytest.raises(InputError, match=r"policy\.quantize: GPT2LMHeadModel has no plain linear layers"):
        CausalLM(str(gpt2), quantize="int8").load()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"use_dora": True, "target_modules": LINEAR}, "use_dora"),
        (
            {"target_modules": LINEAR[1:], "target_parameters": ["self_attn.q_proj.weight"]},
            "target_parameters",
        ),
    ],
)
def test_an_adapter_that_reads_weights_is_refused(
    make: Make, text_folder: Path, tmp_path: Path, settings: dict[str, Any], named: str
) -> None:
    plain = AutoModelForCausalLM.from_pretrained(text_folder)
    get_peft_model(plain, LoraConfig(r=8, lora_alpha=16, **settings)).save_pretrained(tmp_path)
    make().load_weights(tmp_path)  # on the plain base
    with pytest.raises(InputError, match=rf"an adapter with {named} reads weights.*policy\.quantize out"):
        make("int8").load_weights(tmp_path)
