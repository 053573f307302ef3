"""Rules by the type that the parser expects at a place: a class, a function, a type, or a plain value."""

import inspect
import types
from collections.abc import Callable
from typing import Any, get_args, get_origin

import torch
from jsonargparse._typehints import UnvalidatedType

TRUSTED = ("lalm_ambig.", "lightning.", "torch.")
"""Packages whose classes may be named. Other packages' classes need --allow-any-class."""
FUNCTIONS = (
    "torch.distributed.algorithms.ddp_comm_hooks.",
    "torch.distributed.fsdp.wrap.",
    "torch.nn.functional.",
    "torch.nn.utils.prune.",
    "torch.optim.swa_utils.",
)
"""Modules whose functions a configuration may name where a function is expected.

They only compute on tensors and modules. Other functions of the trusted packages load files or run commands.
"""
VALUES = (torch.dtype, torch.device, torch.layout, torch.memory_format)
"""Types of the instances that may be named by their path, such as `torch.bfloat16`."""


def expects_function(expected: Any) -> bool:
    """Return whether a type means something that is called: a `Callable` or a protocol.

    Args:
        expected: The type at a place.

    Returns:
        True for a type of functions.
    """
    if expected in (Callable, types.FunctionType) or get_origin(expected) in (Callable, types.FunctionType):
        return True
    return bool(getattr(expected, "_is_protocol", False))


def takes_anything(expected: Any) -> bool:
    """Return whether a type accepts every value. A class path is an ordinary text there.

    Args:
        expected: The type at a place.

    Returns:
        True for `Any`, for `object`, and for a type that jsonargparse does not check.
    """
    return expected is Any or expected is object or isinstance(expected, UnvalidatedType)


def objection_to_name(name: str, expected: Any) -> str | None:
    """Return why an object may not be imported, judged by its name alone.

    Args:
        name: Dotted path of the object.
        expected: The type at its place.

    Returns:
        The reason, to follow the name; None if it may be imported.
    """
    if not name.startswith(TRUSTED):
        return f"is not under {', '.join(TRUSTED)}: a configuration may not run other code."
    if any(part.startswith("__") for part in name.split(".")):
        return "is no class of a package but a part of how Python works."
    if expected in (type, types.ModuleType, types.UnionType, types.GenericAlias) or takes_anything(expected):
        return "may not be imported: no class of a known kind is expected there."
    return None


def objection_to_object(value: Any, expected: Any, homes: set[str]) -> str | None:
    """Return why an imported object may not be used at its place.

    Args:
        value: The object.
        expected: The type at its place.
        homes: Dotted paths at which it is defined.

    Returns:
        The reason, to follow the object's name; None if it may be used.
    """
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
    if inspect.isclass(value) and issubclass(value, _returned_classes(expected)):
        return None
    return f"may not be called: a configuration names only functions under {', '.join(FUNCTIONS)}."


def _returned_classes(expected: Any) -> tuple[type, ...]:
    """Return the classes that a `Callable` type returns, without plain values; none if the type does not say."""
    result = get_args(expected)[-1:] if get_origin(expected) is Callable else ()
    kinds = [kind for part in result for kind in (get_args(part) or (part,))]
    plain = (bool, int, float, str, bytes, tuple, list, dict, set, type(None), object, torch.Tensor)
    return tuple(kind for kind in kinds if inspect.isclass(kind) and kind not in plain)
