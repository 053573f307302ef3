"""A class's own forward up to its head: what every other way of computing hidden states must equal.

A decoder of transformers is not always what its head reads: some classes hand out a whole model as their decoder, some
transform the states before the head, some need token ids beside embeddings. So the class's own `forward` is called,
with a stand-in where the head is: it keeps what the head would have been given, and no logits are computed.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lalm_ambig.core.errors import InputError

STATES = ("cache", "state", "mems")
"""Under which names a class hands out what decoding goes on from, and takes it back."""
GRID = (0.01, -40.0, -9.0, -2.0, -0.5, 0.25, 1.0, 3.0, 17.0, 60.0)
"""Values that are sent through what a class does behind its head; the first is too small for any cap to bend."""
FAITHFUL = 1e-4
"""How far, as a share of the value, what was found behind a head may be from what the class computes."""


ANOTHER = "Give another checkpoint: docs/families.md lists those that are known to work."
"""What to do where a class cannot be used."""


@dataclass(frozen=True)
class LogitTransform:
    """What a class makes of its head's product z: `cap · tanh(scale · z / cap)`, or `scale · z` without a cap."""

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

    def slope(self, logits: Tensor) -> Tensor:
        """d logit / d product, from the logits."""
        if self.cap is None:
            return torch.full_like(logits, self.scale)
        return self.scale * (1 - (logits / self.cap).square())


IDENTITY_TRANSFORM = LogitTransform()
"""Logits are the head's product itself."""


class StandIn(nn.Module):
    """In a head's place: keeps its input, and returns one column that stands for logits."""

    def __init__(self, head: nn.Module, column: Tensor | None = None) -> None:
        super().__init__()
        self._head = [head]  # in a list, so that it is no part of this module
        self.column = column
        self.given: Tensor | None = None

    @property
    def weight(self) -> Any:
        """The head's, whose type some classes look at."""
        return self._head[0].weight

    @property
    def bias(self) -> Any:
        """The head's."""
        return getattr(self._head[0], "bias", None)

    def forward(self, hidden: Tensor) -> Tensor:
        self.given = hidden
        return hidden[..., :1] if self.column is None else self.column


class NativeForward:
    """A model's own forward, its head left out."""

    def __init__(self, model: Any) -> None:
        """
        Args:
            model: A causal language model of transformers.

        Raises InputError where it has no head that could be found.
        """
        self.model = model
        parameters = inspect.signature(model.forward).parameters
        self.takes = set(parameters)
        """Names of the forward's arguments."""
        self.takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        self._place: tuple[nn.Module, str] | None = None

    @property
    def head(self) -> nn.Module:
        """The layer that makes logits."""
        head = self.model.get_output_embeddings()
        if head is None:
            raise InputError(
                f"{type(self.model).__name__} has no output head that could be found.",
                where="policy.path",
                remedy=ANOTHER,
            )
        found: nn.Module = head
        return found

    def __call__(self, **inputs: Any) -> tuple[Tensor, dict[str, Any]]:
        """What the head would be given [row, token, channel], and what decoding goes on from.

        Inputs that this class's forward does not know by name are left out, but for `layout`.
        """
        known = {k: v for k, v in inputs.items() if v is not None and (k in self.takes or k == "layout")}
        with self._stood_in() as stand_in:
            out = self.model(**known, **({"return_dict": True} if "return_dict" in self.takes else {}))
        assert stand_in.given is not None, "the class's forward does not call its head"
        return stand_in.given, {name: out[name] for name in STATES if name in out and out[name] is not None}

    def logit_transform(self, ids: Tensor) -> LogitTransform:
        """What the class does to its head's products, found by sending known values through its own code.

        Raises InputError where that is neither a scale nor a soft cap: such logits could not be had from single rows.
        """
        values = torch.tensor(GRID, device=ids.device)
        found = self._answer(ids, values)
        if found is not None:
            for candidate in _candidates(values, found):
                if torch.allclose(candidate(values), found, rtol=FAITHFUL, atol=FAITHFUL):
                    return candidate
        raise InputError(
            f"{type(self.model).__name__} does more behind its head than scaling or capping its logits, which a "
            "readout from single rows of the head would leave out:",
            where="policy.path",
            remedy="choose a model without this.",
        )

    @torch.no_grad()
    def logits(self, ids: Tensor) -> Tensor:
        """Logits [token, vocabulary] of a text by the class's whole forward."""
        out = self.model(input_ids=ids[None], **({"use_cache": False} if "use_cache" in self.takes else {}))
        found: Tensor = out.logits[0]
        return found

    @torch.no_grad()
    def _answer(self, ids: Tensor, values: Tensor) -> Tensor | None:
        """Logits of the last token where its products are `values`; None where the class changes their number."""
        column = values.expand(*ids.shape, len(values))
        with self._stood_in(column):
            out = self.model(input_ids=ids, **({"use_cache": False} if "use_cache" in self.takes else {}))
        logits: Tensor = out.logits[0, -1].float()
        return logits if logits.shape == values.shape else None

    @contextmanager
    def _stood_in(self, column: Tensor | None = None) -> Iterator[StandIn]:
        head = self.head
        parent, name = self._found(head)
        stand_in = StandIn(head, column)
        parent._modules[name] = stand_in
        try:
            yield stand_in
        finally:
            parent._modules[name] = head

    def _found(self, head: nn.Module) -> tuple[nn.Module, str]:
        """The module that holds the head, and under which name; looked for again where it was exchanged."""
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


def _candidates(values: Tensor, found: Tensor) -> Iterator[LogitTransform]:
    """What could lead from these values to those: nothing, a scale, a soft cap, both."""
    yield LogitTransform()
    yield LogitTransform(float((found / values).mean()))
    for scale in (1.0, float(found[0] / values[0])):
        yield LogitTransform(scale, _cap(scale * float(values[-1]), float(found[-1])))


def _cap(product: float, logit: float) -> float:
    """c such that c · tanh(product / c) = logit, by bisection; the logit itself where a large product saturates."""
    low, high = abs(logit), 1e6
    for _ in range(200):
        middle = (low + high) / 2
        capped = middle * float(torch.tanh(torch.tensor(product / middle, dtype=torch.float64)))
        low, high = (middle, high) if capped < abs(logit) else (low, middle)
    return high
