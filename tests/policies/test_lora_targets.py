"""Which layers LoRA goes on: every linear layer of the decoder's layers by kind, in any family, and what is told."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from families.checkpoints import write
from families.table import FAMILIES
from peft import PeftModel
from small_checkpoints import write_causal_lm
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from lalm_ambig.config.cli import parse
from lalm_ambig.core.errors import InputError
from lalm_ambig.estimation.skeleton import skeleton
from lalm_ambig.policies.attention.layer_kinds import decoder_blocks
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.self_check.adapter import adapter_problems
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.policies.weights.lora import (
    Adapter,
    Beside,
    attach_adapter,
    shared_layers,
    trained_parameters,
)
from lalm_ambig.policies.weights.lora_targets import find_targets

IDS = torch.arange(5, 17)
SEVEN = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
FUSED = {"fused experts": {"gate_up_proj", "down_proj"}}
READ = "its weight is used without calling it"
CHANGED = "its class changes its weight between training and evaluation"
BY_FAMILY: dict[str, tuple[set[str], dict[str, set[str]]]] = {
    "llama": (SEVEN, {}),
    "qwen2": (SEVEN, {}),
    "qwen3": (SEVEN, {}),
    "smollm3": (SEVEN, {}),
    "gpt2": ({"c_attn", "c_proj", "c_fc"}, {}),
    "phi": ({"q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2"}, {}),
    "phi3": ({"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}, {}),
    "falcon": ({"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}, {}),
    "bloom": ({"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}, {}),
    "mpt": ({"Wqkv", "out_proj", "up_proj", "down_proj"}, {}),
    "opt": ({"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"}, {}),
    "gptj": ({"q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"}, {}),
    "starcoder2": (ATTENTION | {"c_fc", "c_proj"}, {}),
    "lfm2": ({"q_proj", "k_proj", "v_proj", "out_proj", "in_proj", "w1", "w2", "w3"}, {}),
    "rwkv": ({"key", "value", "receptance"}, {CHANGED: {"output", "value"}}),
    "recurrent_gemma": (SEVEN | {"linear_x", "linear_y", "linear_out"}, {}),
    "mamba": ({"in_proj"}, {READ: {"x_proj", "dt_proj", "out_proj"}}),
    "mamba2": ({"in_proj"}, {READ: {"out_proj"}}),
    "bamba": (SEVEN | {"in_proj"}, {READ: {"out_proj"}}),
    "jamba": (SEVEN | {"in_proj", "x_proj", "out_proj"}, {READ: {"dt_proj"}, **FUSED}),
    "mixtral": (ATTENTION, FUSED),
    "phimoe": (ATTENTION, {"router": {"router"}, **FUSED}),
    "qwen2_moe": (SEVEN, {"router": {"shared_expert_gate"}, **FUSED}),
    "llama4_text": (SEVEN, {"router": {"router"}, **FUSED}),
    "deepseek_v3": (
        {
            "q_a_proj",
            "q_b_proj",
            "kv_a_proj_with_mqa",
            "kv_b_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        },
        FUSED,
    ),
    "modernbert-decoder": ({"q_proj", "k_proj", "v_proj", "Wo", "Wi"}, {}),
}


def leaf(name: str) -> str:
    return name.rpartition(".")[2]


@pytest.fixture(scope="session")
def family_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoints of the families, each written when it is first asked for."""
    root = tmp_path_factory.mktemp("families")
    return {family.name: root / family.name for family in FAMILIES}


def at(folders: dict[str, Path], name: str) -> Path:
    if not folders[name].exists():
        write(next(family for family in FAMILIES if family.name == name), folders[name])
    return folders[name]


def plain(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.mark.parametrize("family", BY_FAMILY)
def test_every_linear_layer_of_a_decoder_layer_is_trained_or_told(
    family_folders: dict[str, Path], family: str
) -> None:
    model = plain(at(family_folders, family))
    decoder = model.get_decoder()
    targets = find_targets(model, decoder)
    on, left = BY_FAMILY[family]
    assert {leaf(name) for name in targets.names} == on
    assert {reason: {leaf(name) for name in names} for reason, names in targets.left_out.items()} == left
    inner = decoder if decoder_blocks(decoder) else model
    start = "" if inner is model else next(n for n, m in model.named_modules() if m is inner) + "."
    linear = {n for n, m in inner.named_modules() if isinstance(m, nn.Linear | Conv1D)}
    inside = {
        start + n for n in linear if n.startswith(tuple(f"{block}." for block in decoder_blocks(inner)))
    }
    told = {name for names in targets.left_out.values() for name in names}
    assert inside == set(targets.names) | (told & inside)
    matched = {name for name, _ in model.named_modules() if re.fullmatch(targets.pattern, name)}
    assert matched == set(targets.names) - targets.by_weight


@pytest.mark.parametrize("family", BY_FAMILY)
def test_an_adapter_is_on_its_targets_and_plain_peft_reads_it_back(
    family_folders: dict[str, Path], tmp_path: Path, family: str
) -> None:
    folder = at(family_folders, family)
    model = plain(folder)
    names = set(find_targets(model, model.get_decoder()).names)
    wrapped, _ = attach_adapter(model, Adapter(), decoder=model.get_decoder(), beside=Beside())
    adapted = {
        n.split(".lora_A")[0].removeprefix("base_model.model.") for n, _ in trained_parameters(wrapped)
    }
    assert {name for name in adapted if ".lora_B" not in name} == names
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        before = wrapped.eval()(input_ids=IDS[None]).logits
        for _, parameter in trained_parameters(wrapped):
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        expected = wrapped(input_ids=IDS[None]).logits
    assert (expected - before).abs().max() > 1e-3
    wrapped.save_pretrained(tmp_path)  # type: ignore[operator]
    with torch.no_grad():
        found = PeftModel.from_pretrained(plain(folder), tmp_path).eval()(input_ids=IDS[None]).logits
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["llama", "gpt2", "deepseek_v3", "qwen2_moe", "jamba", "lfm2"])
def test_the_estimate_counts_the_same_adapters(family_folders: dict[str, Path], family: str) -> None:
    folder = at(family_folders, family)
    model = plain(folder)
    wrapped, _ = attach_adapter(model, Adapter(), decoder=model.get_decoder(), beside=Beside())
    described, _ = skeleton(CausalLM(str(folder)))
    own = {n: p.shape for n, p in trained_parameters(wrapped)}
    assert {n: p.shape for n, p in trained_parameters(described)} == own


def test_the_papers_layers_are_as_they_were(tiny: Tiny, small_folders: Path) -> None:
    omni = Qwen2_5Omni(str(small_folders / "omni"))
    omni.load()
    for policy in (tiny, omni):
        names = [name for name, _ in trained_parameters(policy) if "lora_A" in name]
        assert {name.split(".")[-4] for name in names} == SEVEN
        assert all(".language_model.layers." in name for name in names)


def test_what_is_left_out_is_one_line(family_folders: dict[str, Path]) -> None:
    model = plain(at(family_folders, "qwen2_moe"))
    _, notes = attach_adapter(model, Adapter(), decoder=model.get_decoder(), beside=Beside())
    assert notes == [
        "without LoRA: mlp.shared_expert_gate (router); mlp.experts.gate_up_proj, mlp.experts.down_proj (fused experts)"
    ]


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return write_causal_lm(tmp_path / "llama", "llama")


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (["q_proj"], {"layers.0.self_attn.q_proj", "layers.1.self_attn.q_proj"}),
        (
            ["self_attn.q_proj", "layers.1.mlp.up_proj"],
            {*(f"layers.{n}.self_attn.q_proj" for n in (0, 1)), "layers.1.mlp.up_proj"},
        ),
        (
            r".*\.1\..*_proj",
            {
                f"layers.1.{n}"
                for n in (
                    "self_attn.q_proj",
                    "self_attn.k_proj",
                    "self_attn.v_proj",
                    "self_attn.o_proj",
                    "mlp.gate_proj",
                    "mlp.up_proj",
                    "mlp.down_proj",
                )
            },
        ),
        (r"layers\.0\.mlp\.(up|down)_proj", {"layers.0.mlp.up_proj", "layers.0.mlp.down_proj"}),
    ],
)
def test_own_targets_are_taken_as_given(llama: Path, targets: Any, expected: set[str]) -> None:
    policy = CausalLM(str(llama), adapter=Adapter(targets=targets))
    policy.load()
    names = {n.split(".lora_")[0].partition("model.model.model.")[2] for n, _ in trained_parameters(policy)}
    assert names == expected


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (
            ["q_proj", "c_attn"],
            "'c_attn' matches no linear layer of the decoder. There are self_attn.q_proj, ",
        ),
        ("q_proj", "'q_proj' matches no linear layer of the decoder"),  # an expression matches in full
        (["proj"], "'proj' matches no linear layer"),
        (["lm_head"], "'lm_head' matches no linear layer"),
        (["self_attn"], "'self_attn' matches no linear layer"),
        ("(", r"not a regular expression: '\('"),
        ("", "targets names no layer"),
        ([], "targets names no layer"),
    ],
)
def test_targets_that_match_nothing_are_one_line(llama: Path, targets: Any, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        CausalLM(str(llama), adapter=Adapter(targets=targets)).load()
    assert "policy.adapter" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_full_fine_tuning_has_no_targets() -> None:
    with pytest.raises(InputError, match="full fine-tuning has no targets"):
        Adapter(method="full", targets=["q_proj"])


def test_a_layer_on_which_nothing_would_act_cannot_be_chosen(family_folders: dict[str, Path]) -> None:
    model = plain(at(family_folders, "mamba2"))
    with pytest.raises(InputError, match=f"LoRA cannot go on mixer.out_proj: {READ}"):
        find_targets(model, model.get_decoder(), ["in_proj", "out_proj"])
    found = find_targets(model, model.get_decoder(), r".*_proj")  # which chose it by the way
    assert {leaf(name) for name in found.names} == {"in_proj"}
    assert {leaf(name) for name in found.left_out[READ]} == {"out_proj"}


def test_a_router_can_be_chosen(family_folders: dict[str, Path]) -> None:
    model = plain(at(family_folders, "qwen2_moe"))
    found = find_targets(model, model.get_decoder(), ["shared_expert_gate"])
    assert {leaf(name) for name in found.names} == {"shared_expert_gate"}


def test_dropout_where_peft_takes_none_is_one_line(family_folders: dict[str, Path]) -> None:
    model = plain(at(family_folders, "deepseek_v3"))
    with pytest.raises(
        InputError, match="PEFT takes no dropout on down_proj, gate_proj, up_proj of Deepseek"
    ):
        attach_adapter(model, Adapter(dropout=0.1), decoder=model.get_decoder(), beside=Beside())


def test_a_layer_that_is_never_called_gets_none(llama: Path) -> None:
    model = plain(llama)
    model.model.layers[1].self_attn.spare = nn.Linear(64, 64)
    found = find_targets(model, model.get_decoder())
    assert found.left_out == {"never called": ("model.layers.1.self_attn.spare",)}


def test_a_module_that_layers_share_is_wrapped_once(llama: Path) -> None:
    model = plain(llama)
    model.model.layers[1].mlp = model.model.layers[0].mlp
    found = find_targets(model, model.get_decoder())
    assert len(found.names) == len(set(found.names)) == 11
    wrapped, _ = attach_adapter(model, Adapter(), decoder=model.get_decoder(), beside=Beside())
    assert not any("base_layer.base_layer" in name for name, _ in wrapped.named_parameters())


def test_layers_that_share_a_weight_are_found_before_they_are_merged(family_folders: dict[str, Path]) -> None:
    for family, shared in (("zamba2", True), ("llama", False)):
        model = plain(at(family_folders, family))
        attach_adapter(model, Adapter(), decoder=model.get_decoder(), beside=Beside())
        found = shared_layers(model)
        assert len(found) == 2 * shared
        assert len({leaf(name) for name in found}) == shared


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--policy.adapter.targets", r"layers\.\d+\.mlp\..*"], r"layers\.\d+\.mlp\..*"),
        (["--policy.adapter.targets", "[q_proj, v_proj]"], ["q_proj", "v_proj"]),
        (["--policy.adapter.targets", "(q|v)_proj"], "(q|v)_proj"),
        ([], None),
    ],
)
def test_targets_are_given_as_an_option(given: list[str], kept: Any) -> None:
    adapter = parse(given).model.policy.adapter
    assert adapter.targets == kept
    again = parse(given).resolved()
    assert ("targets: null" in again) == (kept is None)


@pytest.fixture
def policy(llama: Path) -> CausalLM:
    made = CausalLM(str(llama))
    made.load()
    made.eval()
    return made


def moved(policy: CausalLM) -> CausalLM:
    with torch.no_grad():
        for _, parameter in trained_parameters(policy):
            parameter.add_(0.05)
    return policy


def test_a_sound_adapter_has_no_problems(policy: CausalLM) -> None:
    assert adapter_problems(policy, IDS) == []
    assert adapter_problems(moved(policy), IDS) == []
    policy.adapter = Adapter(method="full")
    policy.model = policy.base
    assert adapter_problems(policy, IDS) == []


def test_an_adapter_that_is_never_called_is_a_problem(
    policy: CausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy.layers[1].mlp, "forward", lambda states: states)
    assert adapter_problems(policy, IDS) == [
        f"layers.1.mlp.{name} has an adapter, and no forward pass calls it"
        for name in ("gate_proj", "up_proj", "down_proj")
    ]


def test_an_adapter_that_is_read_past_is_a_problem(policy: CausalLM, monkeypatch: pytest.MonkeyPatch) -> None:
    mlp: Any = policy.layers[0].mlp

    def by_weight(states: torch.Tensor) -> torch.Tensor:
        inner = torch.nn.functional.silu(states @ mlp.gate_proj.weight.T) * mlp.up_proj(states)
        return mlp.down_proj(inner)  # type: ignore[no-any-return]

    monkeypatch.setattr(mlp, "forward", by_weight)
    assert adapter_problems(policy, IDS) == [
        "layers.0.mlp.gate_proj has an adapter, and no forward pass calls it"
    ]


def test_an_adapter_that_is_off_is_a_problem(policy: CausalLM) -> None:
    moved(policy).layers[0].self_attn.q_proj.enable_adapters(False)  # type: ignore[union-attr, operator]
    policy.layers[1].mlp.up_proj.scaling["default"] = 0.0  # type: ignore[union-attr, index]
    assert adapter_problems(policy, IDS) == [
        f"{name} has an adapter that is switched off"
        for name in ("layers.0.self_attn.q_proj", "layers.1.mlp.up_proj")
    ]


def test_a_fresh_adapter_with_an_effect_is_a_problem(policy: CausalLM) -> None:
    layer: Any = policy.layers[0].self_attn.o_proj
    layer.register_forward_hook(lambda own, _, out: out if own.disable_adapters else out + 0.1)
    found = adapter_problems(policy, IDS)
    assert len(found) == 1
    assert re.match(r"a fresh adapter must have no effect, and moves logits by \d", found[0])


def test_a_part_without_an_adapter_is_a_problem(llama: Path) -> None:
    policy = CausalLM(str(llama), adapter=Adapter(targets=["q_proj"]))
    policy.load()
    assert adapter_problems(policy, IDS) == []  # as was chosen
    policy.adapter = Adapter()
    assert adapter_problems(policy, IDS) == [
        "layers.0.mlp has linear layers and no adapter",
        "layers.1.mlp has linear layers and no adapter",
    ]
