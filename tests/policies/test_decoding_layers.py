"""Linear layers while responses are sampled: what they compute is PEFT's, up to rounding, and nothing stays behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import Linear as LoraLinear
from small_checkpoints import write_causal_lm
from small_model import nudge
from torch import Tensor, nn

from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.decoding_layers import JoinedInput, PackedInput, decoding_layers
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.policies.weights.lora_product import JoinedLora

FAMILIES = ("qwen2", "llama", "phi3")
IDS = torch.tensor([[3, 7, 9, 11], [5, 2, 8, 6]])


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write_causal_lm(tmp_path_factory.mktemp(request.param) / "model", request.param)


def loaded(folder: Path, dtype: Any = "float32") -> CausalLM:
    policy = CausalLM(str(folder), adapter=Adapter(rank=4, alpha=12.0), dtype=dtype)
    policy.load()
    nudge(policy)
    return policy.eval()


@torch.no_grad()
def logits(policy: CausalLM) -> Tensor:
    states, _ = policy.native_forward(input_ids=IDS, use_cache=False)
    return policy.logits(states).float()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Inside, the LoRA layers whose own forward is called."""
    called: list[str] = []

    def noting(native: Any) -> Any:
        def forward(self: Any, *args: Any, **settings: Any) -> Tensor:
            called.append(type(self).__name__)
            result: Tensor = native(self, *args, **settings)
            return result

        return forward

    with monkeypatch.context() as patched:
        for kind in (LoraLinear, JoinedLora):
            patched.setattr(kind, "forward", noting(kind.forward))
        yield called


def test_one_row_has_the_same_logits_in_fewer_products(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = loaded(folder)
    expected = logits(policy)
    with counted(monkeypatch) as called, decoding_layers(policy, rows=1):
        found = logits(policy)
    assert not called
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)
    assert torch.equal(logits(policy), expected)


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_under_autocast_it_is_as_near_to_float32_as_pefts_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any, merge: bool
) -> None:
    policy = loaded(folder, dtype)
    exact = logits(loaded(folder))
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        pefts = logits(policy)
        with counted(monkeypatch) as called, decoding_layers(policy, rows=4, merge=merge):
            found = logits(policy)
    assert not called
    nearest = (pefts - exact).abs().max()
    assert (found - exact).abs().max() <= 1.5 * nearest + 1e-3
    assert not torch.equal(found, pefts)  # it is another way


@pytest.mark.parametrize("rows", [1, 4])
def test_a_float32_adapter_beside_a_half_base_computes_in_the_bases_type(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    policy = loaded(folder, "bfloat16")
    trained = logits(policy)
    exact = logits(loaded(folder))
    with counted(monkeypatch) as called, decoding_layers(policy, rows=rows):
        found = logits(policy)
    assert not called
    assert (found - exact).abs().max() <= 1.5 * (trained - exact).abs().max() + 1e-3


def test_packed_layers_with_the_same_input_are_one_product_and_the_head_is_in_float32(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, made = loaded(folder, "bfloat16"), list[int]()
    native = PackedInput.__init__

    def noting(self: Any, layers: Any, **settings: Any) -> None:
        made.append(len(layers))
        native(self, layers, **settings)

    monkeypatch.setattr(PackedInput, "__init__", noting)
    hidden = torch.randn(4, 1, policy.base.config.hidden_size).bfloat16()
    exact = hidden.float() @ policy.base.get_output_embeddings().weight.float().T
    with torch.no_grad(), decoding_layers(policy, rows=4):
        torch.testing.assert_close(policy.logits(hidden), exact, rtol=1e-5, atol=1e-5)
    names = {name.rpartition(".")[2] for name, _ in policy.language_model.named_modules()}
    a_layer = [3, 2, 1, 1] if "q_proj" in names else [1] * 4  # Phi-3 has them in one matrix
    assert sorted(made) == sorted([*a_layer * len(policy.layers), 1])


def test_an_adapter_that_is_off_or_was_never_there_changes_nothing(folder: Path) -> None:
    policy = loaded(folder)
    with policy.adapter_off():
        expected = logits(policy)
        with decoding_layers(policy, rows=1):
            assert torch.equal(logits(policy), expected)
    full = CausalLM(str(folder), adapter=Adapter(method="full"), dtype="float32")
    full.load()
    before = logits(full.eval())
    with decoding_layers(full, rows=1, merge=True):
        assert torch.equal(logits(full), before)


def test_an_error_inside_leaves_pefts_own_layers(folder: Path) -> None:
    policy = loaded(folder)
    with pytest.raises(ZeroDivisionError), decoding_layers(policy, rows=1):
        raise ZeroDivisionError
    assert not any("forward" in vars(module) for module in policy.modules())


def test_the_joined_product_is_of_the_present_input(folder: Path) -> None:
    """Two texts one after another, and the first again: nothing of an earlier input is kept."""
    policy = loaded(folder)
    other = IDS.flip(1)
    with torch.no_grad(), decoding_layers(policy, rows=1):
        one = policy.native_forward(input_ids=IDS, use_cache=False)[0]
        policy.native_forward(input_ids=other, use_cache=False)
        again = policy.native_forward(input_ids=IDS, use_cache=False)[0]
    assert torch.equal(one, again)


def test_another_input_is_multiplied_anew_though_not_all_layers_took_the_first(folder: Path) -> None:
    first, *others = [one for one in loaded(folder).modules() if isinstance(one, LoraLinear)]
    second = next(one for one in others if one.in_features == first.in_features)
    joined = JoinedInput([first, second])
    one, other = torch.randn(2, 3, first.in_features).unbind()
    down = first.lora_A["default"].weight
    torch.testing.assert_close(joined(one, 0), one @ down.T)
    torch.testing.assert_close(joined(other, 0), other @ down.T)
    assert joined(other, 1).shape == (3, 4)


@torch.no_grad()
def test_packed_layers_take_another_input_anew_though_not_all_took_the_first(folder: Path) -> None:
    first, *others = [one for one in loaded(folder).modules() if isinstance(one, LoraLinear)]
    second = next(one for one in others if one.in_features == first.in_features)
    packed = PackedInput([first, second], rows=3, kind=torch.float32, merge=False)
    one, other = torch.randn(2, 3, first.in_features).unbind()
    torch.testing.assert_close(packed(one, 0), first(one), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed(other, 0), first(other), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(packed(other, 1), second(other), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_layer_that_is_called_in_another_type_computes_in_it(folder: Path) -> None:
    """Some routers switch autocast off around themselves."""
    policy = loaded(folder)
    layer = next(one for one in policy.modules() if isinstance(one, LoraLinear))
    inputs = torch.randn(4, layer.in_features)
    expected = layer(inputs)
    with torch.autocast("cpu", torch.bfloat16), decoding_layers(policy, rows=4):
        half = layer(inputs)
        with torch.autocast("cpu", enabled=False):
            found = layer(inputs)
    assert half.dtype == torch.bfloat16
    assert torch.equal(found, expected)


def test_plain_linear_layers_are_left_alone_where_nothing_is_merged(folder: Path) -> None:
    policy = loaded(folder)
    with decoding_layers(policy, rows=1):
        changed = [module for module in policy.modules() if "forward" in vars(module)]
    assert changed and all(isinstance(module, LoraLinear) for module in changed)
    assert not any(type(module) is nn.Linear for module in changed)


def test_layers_of_another_kind_are_left_to_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPT-2 multiplies by Conv1D."""
    torch.manual_seed(0)
    policy = loaded(write_causal_lm(tmp_path / "model", "gpt2"))
    expected = logits(policy)
    with counted(monkeypatch) as called, decoding_layers(policy, rows=1):
        assert torch.equal(logits(policy), expected)
    assert called
