"""What processes tell each other is pickled: a tensor of a device would be unpickled onto the others' devices."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import torch

from lalm_ambig.core import distributed


class DeviceTensorPickled(Exception):
    """A tensor on a device was to be sent to the other processes by pickle."""


class _Looking(pickle.Pickler):
    """Pickles as torch's collectives do, and looks at every object."""

    def persistent_id(self, value: Any) -> None:
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            raise DeviceTensorPickled(f"a tensor {tuple(value.shape)} on {value.device}")


def check(value: Any) -> None:
    """Raise for a tensor on a device anywhere in a value, and for a value that cannot be pickled."""
    _Looking(io.BytesIO()).dump(value)


def check_what_is_gathered() -> None:
    """Check whatever the product gathers or broadcasts as objects, as if there were other processes."""
    gather, on_first = distributed.all_gather_object, distributed.on_rank_zero

    def gathered(value: Any) -> Any:
        check(value)
        return gather(value)

    def done_first(action: Callable[[], Any]) -> Any:
        result = on_first(action)
        check(result)
        return result

    distributed.all_gather_object, distributed.on_rank_zero = gathered, done_first
