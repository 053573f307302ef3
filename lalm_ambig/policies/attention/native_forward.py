"""The model class's own forward up to its head; every other way of computing hidden states must equal it.

The decoder's output is not always the head's input. Some classes return a complete model as their decoder, some
transform the states before the head, some need token ids beside embeddings. So the class's own `forward` is called,
with a stand-in for the head: it stores the head's input, and no logits are computed.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError

STATES = ("cache", "state", "mems")
"""Names under which classes return the state of decoding, and take it back."""
GRID = (0.01, -40.0, -9.0, -2.0, -0.5, 0.25, 1.0, 3.0, 17.0, 60.0)
"""Values that are sent through the class's code after its head; the first is too small for any cap to change."""
FAITHFUL = 1e-4
"""Largest relative difference between a fitted transform and the class's own values."""


ANOTHER = "Give another checkpoint: docs/reference/families.md lists those that are known to work."
"""Remedy for a class that cannot be used."""


@dataclass(frozen=True)
class LogitTransform:
    r"""Logits from the product $z$ of the head: $c \tanh(s z / c)$ with a cap $c$, or $s z$ without one.

    >>> LogitTransform(scale=2.0)(torch.tensor([1.0])).tolist()
    [2.0]
    """

    scale: float = 1.0
    cap: float | None = None

    @property
    def is_identity(self) -> bool:
        """Whether logits are the product itself."""
        return self.scale == 1 and self.cap is None

    def __call__(self, products: Tensor) -> Tensor:
        """Logits from the head's products."""
        scaled = products if self.scale == 1 else products * self.scale
        return scaled if self.cap is None else self.cap * torch.tanh(scaled / self.cap)

    def slope(self, logits: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """D logit / d product, from the logits."""
        if self.cap is None:
            return torch.full_like(logits, self.scale)
        return self.scale * (1 - (logits / self.cap).square())


IDENTITY_TRANSFORM = LogitTransform()
"""Logits are the head's product itself."""


class StandIn(nn.Module):
    """A stand-in for the head: it stores its input and returns one column in place of logits."""

    def __init__(self, head: nn.Module, column: Tensor | None = None) -> None:
        super().__init__()
        self._head = [head]  # in a list, so that it is no part of this module
        self.column = column
        self.input: Tensor | None = None

    @property
    def weight(self) -> Any:
        """The head's weight, whose type some classes read."""
        return self._head[0].weight

    @property
    def bias(self) -> Any:
        """The head's bias."""
        return getattr(self._head[0], "bias", None)

    def forward(self, hidden: Float[Tensor, "*row channel"]) -> Float[Tensor, "*row column"]:
        self.input = hidden
        return hidden[..., :1] if self.column is None else self.column


class NativeForward:
    """A model's own forward without its head."""

    def __init__(self, model: Any) -> None:
        """Args:
        model: A causal language model of transformers.
        """
        self.model = model
        parameters = inspect.signature(model.forward).parameters
        self.takes = set(parameters)
        """Names of the forward's arguments."""
        self.takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        self._place: tuple[nn.Module, str] | None = None

    @property
    def head(self) -> nn.Module:
        """The layer that makes logits.

        Raises:
            InputError: The model has none that could be found.
        """
        head = self.model.get_output_embeddings()
        if head is None:
            raise InputError(
                f"{type(self.model).__name__} has no output head that could be found.",
                where="policy.path",
                remedy=ANOTHER,
            )
        module: nn.Module = head
        return module

    def __call__(self, **inputs: Any) -> tuple[Tensor, dict[str, Any]]:
        """The head's input [row, token, channel], and the state from which decoding continues.

        Inputs that are no arguments of this class's forward are left out, except `layout`.
        """
        accepted = {k: v for k, v in inputs.items() if v is not None and (k in self.takes or k == "layout")}
        with self._stood_in() as stand_in:
            out = self.model(**accepted, **({"return_dict": True} if "return_dict" in self.takes else {}))
        assert stand_in.input is not None, "the class's forward does not call its head"
        return stand_in.input, {name: out[name] for name in STATES if name in out and out[name] is not None}

    def logit_transform(self, ids: Int[Tensor, "row token"]) -> LogitTransform:
        """Fit what the class does to its head's products, by sending a grid of values through its own code.

        Raises:
            InputError: It is neither a scale nor a soft cap, so logits cannot be computed from single rows of the head.
        """
        values = torch.tensor(GRID, device=ids.device)
        logits = self._answer(ids, values)
        if logits is not None:
            for candidate in _candidates(values, logits):
                if torch.allclose(candidate(values), logits, rtol=FAITHFUL, atol=FAITHFUL):
                    return candidate
        raise InputError(
            f"{type(self.model).__name__} does more behind its head than scaling or capping its logits, which a "
            "readout from single rows of the head would leave out:",
            where="policy.path",
            remedy="choose a model without this.",
        )

    @torch.no_grad()
    def logits(self, ids: Int[Tensor, " token"]) -> Float[Tensor, "token vocabulary"]:
        """Logits [token, vocabulary] of a text by the class's forward, head included."""
        out = self.model(input_ids=ids[None], **({"use_cache": False} if "use_cache" in self.takes else {}))
        logits: Tensor = out.logits[0]
        return logits

    @torch.no_grad()
    def _answer(self, ids: Tensor, values: Tensor) -> Tensor | None:
        """Logits of the last token if its products are `values`; None if the class changes their number."""
        column = values.expand(*ids.shape, len(values))
        with self._stood_in(column):
            out = self.model(input_ids=ids, **({"use_cache": False} if "use_cache" in self.takes else {}))
        logits: Tensor = out.logits[0, -1].float()
        return logits if logits.shape == values.shape else None

    @contextmanager
    def _stood_in(self, column: Tensor | None = None) -> Iterator[StandIn]:
        head = self.head
        parent, name = self._parent_of(head)
        stand_in = StandIn(head, column)
        parent._modules[name] = stand_in
        try:
            yield stand_in
        finally:
            parent._modules[name] = head

    def _parent_of(self, head: nn.Module) -> tuple[nn.Module, str]:
        """The module that holds the head, and the head's name in it; searched again if the head was exchanged."""
        if self._place is None or self._place[0]._modules.get(self._place[1]) is not head:
            places = [
                (parent, name)
                for parent in self.model.modules()
                for name, child in parent._modules.items()
                if child is head
            ]
            if len(places) != 1:
                raise InputError(
                    f"{type(self.model).__name__} holds its output head in {len(places)} places, not in one.",
                    where="policy.path",
                    remedy=ANOTHER,
                )
            self._place = places[0]
        return self._place


def _candidates(values: Tensor, logits: Tensor) -> Iterator[LogitTransform]:
    """Transforms that could lead from the values to the logits: identity, a scale, a soft cap, both."""
    yield LogitTransform()
    yield LogitTransform(float((logits / values).mean()))
    for scale in (1.0, float(logits[0] / values[0])):
        yield LogitTransform(scale, _cap(scale * float(values[-1]), float(logits[-1])))


def _cap(product: float, logit: float) -> float:
    """C such that c · tanh(product / c) = logit, by bisection; the logit itself if a large product saturates."""
    low, high = abs(logit), 1e6
    for _ in range(200):
        middle = (low + high) / 2
        capped = middle * float(torch.tanh(torch.tensor(product / middle, dtype=torch.float64)))
        low, high = (middle, high) if capped < abs(logit) else (low, middle)
    return high
