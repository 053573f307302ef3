"""A family as a loaded policy, and what its tests do with it."""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from families.oracle import Oracle, mixes_tokens_elsewhere, own_forward_fails, without_dropout
from families.outcomes import CHECKS, Outcome
from families.table import Family
from families.texts import CATEGORIES
from small_model import nudge
from torch import Tensor

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.core.errors import InputError
from lalm_ambig.data.encoding import Elicitation, Encoder
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.readouts.logits import Scoring

PROMPT = Path(__file__).with_name("comment.txt")
"""Short, so that prompts lie on both sides of the windows."""
MOVED = 0.03
"""Standard deviation of what is added to an adapter's weights."""


class Tried:
    """One family: its policy with default settings, a saved adapter, and its class by transformers and PEFT alone."""

    def __init__(self, family: Family, folder: Path, adapter: Path) -> None:
        """
        Args:
            family: A row of the table.
            folder: Its checkpoint.
            adapter: Folder to save a moved adapter to.
        """
        self.family, self.folder, self.adapter = family, folder, adapter
        self.passed: list[str] = []
        self.notes: list[str] = []
        """For the documentation."""
        self.refused = ""
        self.elsewhere = mixes_tokens_elsewhere(folder)
        torch.manual_seed(1)
        self.policy = CausalLM(str(folder))
        try:
            self.policy.load()
        except InputError as error:
            self.refused = " ".join(str(error).split()).replace(str(folder), family.name)
            return
        self.policy.eval()
        self.oracle = Oracle(folder)
        with self.moved():
            self.policy.save(adapter)
        self.moved_oracle = Oracle(folder, adapter)
        self.draws = self.moved_oracle.draws()
        without_dropout(self.policy)

    @contextmanager
    def moved(self) -> Iterator[None]:
        """Inside, the adapter has the weights that were saved; whatever is trained there is forgotten."""
        weights = {p: p.detach().clone() for p in self.policy.parameters() if p.requires_grad}
        nudge(self.policy, by=MOVED)
        try:
            yield
        finally:
            for parameter, before in weights.items():
                parameter.data.copy_(before)
                parameter.grad = None
            self.policy.eval()

    def encoder(self, **settings: Any) -> Encoder:
        """Of the policy, see `encoder_of`."""
        return encoder_of(self.policy, **settings)

    def outcome(self) -> Outcome:
        """What is written down."""
        common: dict[str, Any] = {
            "family": self.family.name,
            "transformers": version("transformers"),
            "date": datetime.date.today().isoformat(),
            "elsewhere": self.elsewhere,
        }
        if self.refused:
            return Outcome(**common, refused=self.refused, unusable=own_forward_fails(self.folder))
        abilities = self.policy.abilities
        return Outcome(
            **common,
            passed=tuple(name for name in CHECKS if name in self.passed),
            shares=abilities.shares,
            longest_shared=abilities.longest_shared,
            decoding=abilities.decoding,
            note="; ".join(self._notes()),
        )

    def _notes(self) -> list[str]:
        found = [
            self.family.note,
            "tokens meet outside of the attention interface" if self.elsewhere else "",
            "routers draw experts in training" if self.draws else "",
            *self.policy.load_notes,
        ]
        return [note for note in found if note] + self.notes


def encoder_of(
    policy: CausalLM, *, reasoning: bool, categories: CategorySet = CATEGORIES, scoring: Scoring = "first"
) -> Encoder:
    """Asks a policy about comments."""
    return Encoder(policy, categories, Elicitation(str(PROMPT), reasoning, scoring=scoring))


def taken(model: torch.nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """Gradients of what is trained in a model, which has none afterwards."""
    loss.backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = {name: p.grad for name, p in trained.items() if p.grad is not None}
    for parameter in trained.values():
        parameter.grad = None
    return found


def apart(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> float:
    """Norm of the difference of two lists of tensors, as a share of the second one's norm."""
    pairs = list(zip(ours, theirs, strict=True))
    difference = sum(float((a - b).square().sum()) for a, b in pairs)
    return float((difference / sum(float(b.square().sum()) for _, b in pairs)) ** 0.5)
