"""What the parser expects at a place of a configuration: a class of some kind, a function, a type, or just a value."""

import inspect
import types
from collections.abc import Callable
from typing import Any, get_args, get_origin

import torch
from jsonargparse._typehints import UnvalidatedType

TRUSTED = ("lalm_ambig.", "lightning.", "torch.")
"""Other packages' classes need --allow-any-class."""
FUNCTIONS = (
    "torch.distributed.algorithms.ddp_comm_hooks.",
    "torch.distributed.fsdp.wrap.",
    "torch.nn.functional.",
    "torch.nn.utils.prune.",
    "torch.optim.swa_utils.",
)
"""Where functions lie that a configuration may name where one is expected: they compute on tensors and modules only.

Elsewhere in the trusted packages are functions that load files or run commands.
"""
VALUES = (torch.dtype, torch.device, torch.layout, torch.memory_format)
"""Instances that may be named by their path, as `torch.bfloat16`."""


def expects_function(expected: Any) -> bool:
    """Whether a type stands for something that is called: a `Callable`, or a protocol of one method."""
    if expected in (Callable, types.FunctionType) or get_origin(expected) in (Callable, types.FunctionType):
        return True
    return bool(getattr(expected, "_is_protocol", False))


def takes_anything(expected: Any) -> bool:
    """Whether a type says nothing of its values: a class path is an ordinary text there."""
    return expected is Any or expected is object or isinstance(expected, UnvalidatedType)


def objection_to_name(name: str, expected: Any) -> str | None:
    """Why nothing of that name may be imported for such a place; None where it may."""
    if not name.startswith(TRUSTED):
        return f"is not under {', '.join(TRUSTED)}: a configuration may not run other code."
    if any(part.startswith("__") for part in name.split(".")):
        return "is no class of a package but a part of how Python works."
    if expected in (type, types.ModuleType, types.UnionType, types.GenericAlias) or takes_anything(expected):
        return "may not be imported: no class of a known kind is expected there."
    return None


def objection_to_object(value: Any, expected: Any, homes: set[str]) -> str | None:
    """Why what was imported may not be used for such a place; `homes` are the paths at which it is defined."""
    for home in homes:
        if not home.startswith(TRUSTED):
            return (
                f"is {home}, which is not under {', '.join(TRUSTED)}: a configuration may not run other code."
            )
    if expects_function(expected):
        return _objection_to_function(value, expected, homes)
    if inspect.isclass(value) or isinstance(value, VALUES):
        return None
    return f"is a {type(value).__name__} and no class."


def _objection_to_function(value: Any, expected: Any, homes: set[str]) -> str | None:
    if homes and all(home.startswith(FUNCTIONS) for home in homes):
        return None
    if inspect.isclass(value) and issubclass(value, _made(expected)):
        return None
    return f"may not be called: a configuration names only functions under {', '.join(FUNCTIONS)}."


def _made(expected: Any) -> tuple[type, ...]:
    """The classes that a function of such a type returns, where the type says so and they are no plain values."""
    result = get_args(expected)[-1:] if get_origin(expected) is Callable else ()
    kinds = [kind for part in result for kind in (get_args(part) or (part,))]
    plain = (bool, int, float, str, bytes, tuple, list, dict, set, type(None), object, torch.Tensor)
    return tuple(kind for kind in kinds if inspect.isclass(kind) and kind not in plain)
