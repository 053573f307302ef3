"""What came out for each family: written by the tests, checked by rules, and told as a table in the documentation."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import uuid4

FOLDER = "FAMILIES_OUTCOMES"
"""Environment variable that names the folder for outcomes; where there is none, they are not kept."""
MOST_REFUSED, FEWEST_SHARING = 3, 25
METHODS = ("KL-only", "SFT", "GRPO", "DPO")
"""Each takes an optimiser's step."""
CHECKS = (
    "loaded",
    "evaluated",
    "whole names",
    "evaluated behind reasoning",
    "trained as evaluated",
    "saved",
    "gradients",
    *METHODS,
    "own answers",
    "unmoved in bfloat16",
    "unmoved in float32",
)
"""What a family that is not refused has passed when its outcome is written."""


@dataclass(frozen=True)
class Outcome:
    """One family's."""

    family: str
    transformers: str
    """Its version."""
    date: str
    """YYYY-MM-DD."""
    refused: str = ""
    """The line that refuses it; empty where it is used."""
    unusable: bool = False
    """Whether its class's own forward of one row cannot be used."""
    passed: tuple[str, ...] = ()
    """Of `CHECKS`."""
    shares: bool = False
    longest_shared: int | None = None
    """Tokens of the longest text that is shared; None for any."""
    elsewhere: bool = False
    """Whether tokens meet outside of transformers' attention interface."""
    decoding: str = "padded"
    note: str = ""

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """Its cells: family, what trains, shares the prompt, decodes, note."""
        if self.refused:
            return self.family, "refused", "–", "–", self.refused
        trains = ", ".join(name for name in METHODS if name in self.passed)
        limit = "" if self.longest_shared is None else f", texts of up to {self.longest_shared} tokens"
        return self.family, trains, f"yes{limit}" if self.shares else "no", DECODES[self.decoding], self.note


DECODES = {
    "padded": "in batches",
    "equal": "equal lengths together",
    "single": "one by one",
    "never": "without a cache",
}
"""What is written of `Abilities.decoding`."""


def keep(outcome: Outcome, folder: Path) -> None:
    """Leave it for `read`; one family may leave several, each with the checks that one process has made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{outcome.family}-{uuid4().hex}.json").write_text(json.dumps(asdict(outcome), indent=1) + "\n")


def read(folder: Path) -> dict[str, Outcome]:
    """All outcomes by family."""
    found: dict[str, Outcome] = {}
    for file in sorted(folder.glob("*.json")):
        values = json.loads(file.read_text())
        outcome = Outcome(**{**values, "passed": tuple(values["passed"])})
        found[outcome.family] = _together(outcome, found.get(outcome.family, outcome))
    return found


def _together(one: Outcome, other: Outcome) -> Outcome:
    passed = tuple(name for name in CHECKS if name in one.passed + other.passed)
    return replace(one, passed=passed, note=max(one.note, other.note, key=len))


def broken(outcomes: dict[str, Outcome], families: Sequence[str]) -> list[str]:
    """Which rules over all families do not hold, a line each."""
    lines = [f"{name} was not tried" for name in families if name not in outcomes]
    found = [outcomes[name] for name in families if name in outcomes]
    refused = [outcome for outcome in found if outcome.refused]
    used = [outcome for outcome in found if not outcome.refused]
    if len(refused) > MOST_REFUSED:
        lines.append(f"{len(refused)} families are refused, {MOST_REFUSED} may be")
    lines += [f"{o.family} is refused, but its own forward can be used" for o in refused if not o.unusable]
    sharing = sum(outcome.shares for outcome in used)
    if sharing < FEWEST_SHARING:
        lines.append(f"{sharing} families share the prompt, not {FEWEST_SHARING}")
    lines += [
        f"{o.family} shares the prompt, but its tokens meet outside of the attention interface"
        for o in used
        if o.shares and o.elsewhere
    ]
    lines += [f"{o.family} has not passed: {name}" for o in used for name in CHECKS if name not in o.passed]
    return lines


HEAD = """# Families of text models

What the tests of `tests/families/` found with transformers {version} on {date}; `make families` writes this page. Each
of these {count} families was tried as a tiny checkpoint of random weights, in float32 on a CPU, with its default
settings and LoRA. {used} are used and {refused} refused; {sharing} share the prompt.

For each family, predictions of a batch are those of its class's own forward on each text alone (to 1e-4), before and
behind reasoning that it wrote itself, which is what a loop over its own forward without a cache writes. Its gradients
are those of its class and PEFT. A saved adapter loads in PEFT with equal logits. In bfloat16 no text moves when others
in its batch are exchanged.

- **trains**: methods that took an optimiser's step: KL-only without reasoning, SFT on reasoning (CE and KL), GRPO, DPO.
- **shares the prompt**: *yes* computes a prompt once for all its responses, and texts of a batch in one row without
  padding. *no* computes each text by itself, in padded batches, with the model's own mask: slower, and as right.
  The self-check at load decides.
- **decodes**: by the model's own cache, or the shared prompt's, responses to prompts of any lengths together (*in
  batches*), only those to prompts of *equal lengths together*, or *one by one*; or *without a cache*, each token
  computed from the whole text again, where the class's cached steps give other values than its own forward.
- **note**: what is special about the family, and which linear layers LoRA leaves out, and why.

| family | trains | shares the prompt | decodes | note |
|---|---|---|---|---|
"""


def page(outcomes: Sequence[Outcome]) -> str:
    """The documentation's page."""
    used = [outcome for outcome in outcomes if not outcome.refused]
    head = HEAD.format(
        version=" and ".join(sorted({outcome.transformers for outcome in outcomes})),
        date=max(outcome.date for outcome in outcomes),
        count=len(outcomes),
        used=len(used),
        refused=len(outcomes) - len(used),
        sharing=sum(outcome.shares for outcome in used),
    )
    rows = ["| " + " | ".join(cell.replace("|", "\\|") for cell in o.row) + " |" for o in outcomes]
    return head + "\n".join(rows) + "\n"
