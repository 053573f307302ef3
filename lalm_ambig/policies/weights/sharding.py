"""Weights that are divided over processes (ZeRO-3, FSDP2): how they are divided, and brought together where one process
must be able to run the policy on its own.

The libraries bring a module's weights when its forward pass begins, by a hook, and every process must take part. So:
training passes are equal in number everywhere; whatever is not (sampling ends earlier in one process than in another)
runs inside `whole_weights`; and a weight that is used outside its module's forward pass is reached by `through`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from lalm_ambig.policies.weights.lora import trained_parameters


def call_as_forward(module: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """`function(module, *inputs)` run as the module's forward pass, so that the hooks that bring its weights run."""
    own = vars(module).get("forward")
    module.forward = lambda *given: function(module, *given)
    try:
        found: Tensor = module(*inputs)
    finally:
        if own is None:
            vars(module).pop("forward")
        else:
            module.forward = own
    return found


class Root(nn.Module):
    """A whole model as one module, whose forward pass is any step on it: what FSDP2 does around a pass surrounds it.

    It stands apart from the model, so that nothing of the library's stays behind when the model is read anew.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.running = False
        """Whether a step is under way: the weights outside the layers are then whole until its backward pass."""

    def forward(self, step: Callable[[], Any]) -> Any:
        self.running = True
        try:
            return step()
        finally:
            self.running = False

    def shard(self, layers: nn.ModuleList, mesh: DeviceMesh) -> None:
        """Divide the weights by FSDP2, each decoder layer by itself and the rest together; later calls do nothing."""
        if isinstance(self, FSDPModule):
            return
        for layer in layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(self, mesh=mesh)


@contextmanager
def gathered_weights(policy: Any) -> Iterator[None]:
    """Inside, every process has all weights, and its passes involve no other one. All processes must enter and leave.

    Nothing is done where weights are whole anyway. No gradients may be computed inside.
    """
    if isinstance(policy.root, FSDPModule):
        with _unsharded(policy.root):
            yield
    elif policy.zero_offload is not None:
        with _gathered(policy, policy.zero_offload):
            yield
    else:
        yield


def trained_weights(policy: Any) -> dict[str, Tensor]:
    """Copies of what is trained, whole, on the CPU, by parameter name. All processes must call."""
    with gathered_weights(policy):
        return {name: p.detach().cpu().clone() for name, p in trained_parameters(policy)}


@contextmanager
def _unsharded(root: Any) -> Iterator[None]:
    divided = [module for module in root.modules() if isinstance(module, FSDPModule)]
    if root.running:
        divided.remove(root)
    else:
        root(lambda: None)  # the library prepares itself at the first pass
    for module in divided:
        module.unshard()
        module.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for module in divided:
            module.set_reshard_after_forward(module is not root, recurse=False)
            module.reshard()


@contextmanager
def _gathered(policy: Any, offload: Any) -> Iterator[None]:
    """DeepSpeed's way; `offload` is its object that brings and frees weights."""
    import deepspeed

    from lalm_ambig.core.lightning_internals import register_hooks  # here, for it imports Lightning

    offload.partition_all_parameters()  # what is on its way to a coming pass would not be gathered
    with deepspeed.zero.GatheredParameters(list(policy.parameters())):
        for hook in (*offload.forward_hooks, *offload.backward_hooks):
            hook.remove()  # they would free a layer's weights behind its forward pass
        offload.forward_hooks, offload.backward_hooks = [], []
        for parameter in policy.parameters():
            parameter.ds_active_sub_modules.clear()
        try:
            yield
        finally:
            register_hooks(offload)
