"""The joint product of a layer and its LoRA is PEFT's, forward and backward; where it may not be, PEFT's own runs."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn

from lalm_ambig.policies.weights.lora_product import JoinedLora, join_products


def wrapped(*, bias: bool = False, dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    """A linear layer with LoRA whose B is not zero."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10, bias=bias), nn.Linear(10, 7, bias=bias)).to(dtype)
    adapted: Any = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, target_modules=["0", "1"], **settings))  # type: ignore[arg-type]
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter)
    return adapted


def pass_of(model: Any, inputs: Tensor) -> dict[str, Tensor]:
    """Output and gradients."""
    given = inputs.clone().requires_grad_()
    model.zero_grad()
    output = model(given)
    slope = torch.randn(output.shape, generator=torch.Generator().manual_seed(3))
    (output.float() * slope).sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return {"output": output.detach(), "input": given.grad, **found}  # type: ignore[dict-item]


@pytest.mark.parametrize("shape", [(4, 6), (2, 5, 6), (1, 1, 6), (6,)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rslora", [False, True])
def test_outputs_and_gradients_are_pefts(shape: tuple[int, ...], bias: bool, rslora: bool) -> None:
    model, inputs = wrapped(bias=bias, use_rslora=rslora), torch.randn(shape)
    expected = pass_of(model, inputs)
    join_products(model)
    assert sum(type(module) is JoinedLora for module in model.modules()) == 2
    found = pass_of(model, inputs)
    assert found.keys() == expected.keys() and len(found) == 6
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_it_is_as_near_to_float32_as_pefts(dtype: torch.dtype) -> None:
    model, inputs = wrapped(dtype=dtype), torch.randn(64, 6)
    exact = pass_of(wrapped(dtype=dtype).float(), inputs.to(dtype).float())
    with torch.autocast("cpu", torch.bfloat16):
        pefts = pass_of(model, inputs.to(dtype))
        join_products(model)
        found = pass_of(model, inputs.to(dtype))
    for name, value in exact.items():
        assert found[name].dtype == pefts[name].dtype, name
        error = (found[name].float() - value).norm() / value.norm()
        assert error <= 1.5 * (pefts[name].float() - value).norm() / value.norm() + 1e-3, name


def test_a_float32_adapter_beside_a_half_base_computes_in_the_bases_type() -> None:
    model, inputs = wrapped(dtype=torch.bfloat16), torch.randn(64, 6, dtype=torch.bfloat16)
    pefts = pass_of(model, inputs)
    join_products(model)
    found = pass_of(model, inputs)
    for name, value in pefts.items():
        assert found[name].dtype == value.dtype
        assert (found[name].float() - value.float()).norm() <= 0.02 * value.float().norm(), name


def test_a_frozen_input_gets_no_gradient_and_no_graph_is_made_without_need() -> None:
    model, inputs = wrapped(), torch.randn(4, 6)
    join_products(model)
    model(inputs).sum().backward()
    assert inputs.grad is None
    assert all(p.grad is not None for name, p in model.named_parameters() if "lora_" in name)
    with torch.no_grad():
        assert not model(inputs).requires_grad


@pytest.mark.parametrize(
    "settings", [{"use_dora": True}, {"lora_dropout": 0.5}, {"lora_bias": True}, {"use_rslora": True}]
)
def test_lora_of_another_kind_is_left_to_peft(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = wrapped(bias=True, **settings), torch.randn(4, 6)
    torch.manual_seed(1)
    expected = pass_of(model, inputs)
    called, native = [], LoraLinear.forward
    monkeypatch.setattr(
        LoraLinear,
        "forward",
        lambda self, *given, **more: (called.append(1), native(self, *given, **more))[1],
    )
    join_products(model)
    torch.manual_seed(1)
    found = pass_of(model, inputs)
    assert len(called) == (0 if "use_rslora" in settings else 2)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-4)


def test_dropout_is_for_training_only() -> None:
    model, inputs = wrapped(lora_dropout=0.5), torch.randn(4, 6)
    plain = wrapped()
    plain.load_state_dict(model.state_dict())
    join_products(model)
    torch.testing.assert_close(model.eval()(inputs), plain(inputs))


def test_merged_switched_off_and_several_adapters_are_pefts() -> None:
    model, inputs = wrapped(), torch.randn(4, 6)
    join_products(model)
    expected = model(inputs)
    with model.disable_adapter():
        torch.testing.assert_close(
            model(inputs),
            wrapped().get_base_model()[1].base_layer(model.get_base_model()[0].base_layer(inputs)),
        )
    model.merge_adapter()
    torch.testing.assert_close(model(inputs), expected, rtol=1e-5, atol=1e-5)
    model.unmerge_adapter()
    model.add_adapter("second", LoraConfig(r=2, target_modules=["0", "1"]))
    model.base_model.set_adapter(["default", "second"])
    torch.testing.assert_close(model(inputs), expected, rtol=1e-5, atol=1e-5)  # the second one's B is zero


def test_weights_that_a_strategy_gathers_by_their_module_are_left_to_peft() -> None:
    model, inputs = wrapped(), torch.randn(4, 6)
    expected = model(inputs)
    join_products(model)
    for module in model.modules():
        if type(module) is JoinedLora:
            module.get_base_layer().weight.ds_id = 1
            assert module._joined_adapter(inputs) is None
    assert torch.equal(model(inputs), expected)
