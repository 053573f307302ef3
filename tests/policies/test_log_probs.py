"""No rows, no product: the head is neither multiplied nor copied, and what DDP and ZeRO-3 wait for still happens."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lalm_ambig.policies.log_probs import token_log_probs

NO_IDS = torch.zeros(0, dtype=torch.long)


class Largest(TorchDispatchMode):
    """Inside, the number of elements of the largest new tensor that an operator gives."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, operator: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        result = operator(*given, **(named or {}))
        inputs = {id(one) for one in given}
        if isinstance(result, torch.Tensor) and id(result) not in inputs and not result._is_view():
            self.elements = max(self.elements, result.numel())
        return result


@pytest.mark.parametrize("trained", [False, True])
def test_no_rows_leave_the_head_alone_under_autocast(trained: bool) -> None:
    head = torch.nn.Linear(8, 40, bias=False).requires_grad_(trained)
    hidden = torch.randn(0, 8, requires_grad=True)
    with Largest() as seen, torch.autocast("cpu", torch.bfloat16):
        values = token_log_probs(head, hidden, NO_IDS)
    assert seen.elements <= 8
    assert (values.shape, values.dtype) == ((0,), torch.float32)


def test_no_rows_are_part_of_the_graph_and_a_trained_head_gets_a_gradient_of_zero() -> None:
    head = torch.nn.Linear(8, 40)
    hidden = torch.randn(3, 8, requires_grad=True)
    token_log_probs(head, hidden[:0], NO_IDS).sum().backward()
    for part in (hidden, head.weight, head.bias):
        assert part.grad is not None
        assert not part.grad.any()


def test_the_heads_hooks_run_once_with_rows_and_without() -> None:
    head = torch.nn.Linear(8, 40).requires_grad_(False)
    calls: list[str] = []
    head.register_forward_pre_hook(lambda *_: calls.append("before"))
    head.register_forward_hook(lambda *_: calls.append("after"))
    for rows in (0, 2):
        token_log_probs(head, torch.randn(rows, 8), torch.zeros(rows, dtype=torch.long))
        assert calls == ["before", "after"]
        calls.clear()


@pytest.mark.parametrize("autocast", [False, True])
def test_logits_of_a_half_head_are_not_rounded_on_a_cpu(autocast: bool) -> None:
    """A logit of 30 in bfloat16 is up to 0.06 off."""
    torch.manual_seed(0)
    head = torch.nn.Linear(64, 50, bias=False).requires_grad_(False).bfloat16()
    hidden, ids = (30 * torch.randn(20, 64)).bfloat16(), torch.arange(20)
    exact = torch.log_softmax(hidden.float() @ head.weight.float().T, -1).gather(1, ids[:, None])[:, 0]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = token_log_probs(head, hidden, ids)
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-4)
