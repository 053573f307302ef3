"""What all calls share: the models and their prices, and how far a run may go."""

from dataclasses import dataclass

from data_curation.breaker import Breaker
from data_curation.budget import Budget, Prices
from data_curation.gate import Gate

FREE = Prices(0.0, 0.0, 0.0)
"""What stands for unknown prices."""


class Unsent(Exception):
    """A call brought no reply in the end; its item is left for the next run."""


@dataclass(frozen=True)
class Model:
    """A model and what its tokens cost; None where that is not known."""

    name: str
    prices: Prices | None


@dataclass(frozen=True)
class Limits:
    """What all calls share."""

    gate: Gate
    budget: Budget
    breaker: Breaker
    retries: int = 5
    """How often a failed call is sent again."""
    pause_s: float = 0.5
    """First pause after a failed call; doubled each time, with up to a quarter of jitter."""
