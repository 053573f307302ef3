"""Weights divided over processes (ZeRO-3, FSDP2): how they are divided, and gathered where one process runs alone.

Both libraries gather a module's weights by hooks around its forward pass, and every process must take part. Hence:

1. Training passes are equal in number in all processes.
2. Passes that may differ in number, such as sampling, run inside `gathered_weights`.
3. A weight that is used outside its module's forward pass is reached by `call_as_forward`.

FSDP2's hooks are on its own modules only: each decoder layer, and `Root` for all other weights. A step is `Root`'s
forward pass, so the head and the embeddings are whole until the step's backward pass. torch's
`register_fsdp_forward_method` would add nothing here: it wraps methods of FSDP modules, which the head is not, and does
nothing for others. ZeRO-3 has hooks on every module, but only on its `forward`. So `call_as_forward` is for ZeRO-3.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from lalm_ambig.policies.weights.lora import trained_parameters


def call_as_forward(module: nn.Module, function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Run `function(module, *inputs)` as the module's forward pass, so that ZeRO-3's hooks gather its weights.

    The module's `forward` is exchanged for the time of the call; torch has no public way to run hooks around another
    function.
    """
    patched = vars(module).get("forward")
    module.forward = lambda *arguments: function(module, *arguments)
    try:
        output: Tensor = module(*inputs)
    finally:
        if patched is None:
            vars(module).pop("forward")
        else:
            module.forward = patched
    return output


class Root(nn.Module):
    """The root module of FSDP2: its forward pass runs any step on the model, so FSDP2's hooks wrap the step.

    It wraps the model from outside, so that nothing of FSDP2 stays on the model when its weights are read anew.
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
    """Inside, every process has all weights, and its passes involve no other process.

    All processes must enter and leave. No gradients may be computed inside. Undivided weights are left as they are.
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
    """Undivided copies of the trained weights on the CPU, by parameter name. All processes must call."""
    with gathered_weights(policy):
        return {name: p.detach().cpu().clone() for name, p in trained_parameters(policy)}


@contextmanager
def _unsharded(root: Any) -> Iterator[None]:
    """FSDP2's way, by its public methods."""
    modules = [module for module in root.modules() if isinstance(module, FSDPModule)]
    if root.running:
        modules.remove(root)
    else:
        root(lambda: None)  # FSDP2 initialises itself in the first pass
    for module in modules:
        module.unshard()
        module.set_reshard_after_forward(False, recurse=False)
    try:
        yield
    finally:
        for module in modules:
            module.set_reshard_after_forward(module is not root, recurse=False)
            module.reshard()


@contextmanager
def _gathered(policy: Any, offload: Any) -> Iterator[None]:
    """DeepSpeed's way; `offload` is its object that gathers and releases weights."""
    import deepspeed

    from lalm_ambig.core.lightning_internals import register_hooks  # here, for it imports Lightning

    offload.partition_all_parameters()  # what is on its way to a coming pass would not be gathered
    with deepspeed.zero.GatheredParameters(list(policy.parameters())):
        for hook in (*offload.forward_hooks, *offload.backward_hooks):
            hook.remove()  # they would release a layer's weights after its forward pass
        offload.forward_hooks, offload.backward_hooks = [], []
        for parameter in policy.parameters():
            parameter.ds_active_sub_modules.clear()
        try:
            yield
        finally:
            register_hooks(offload)
