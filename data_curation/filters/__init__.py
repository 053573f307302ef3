"""The rules that a chain of thought must keep, whoever wrote it.

To add one, write `filters/NAME.py` with `check(reasoning, votes, categories) -> list[str]`: the reasons why
it does not hold, none where it does. Modules of this package are found by themselves; both writers and
`validate` share them.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache

from data_curation.records import Reasoning
from lalm_ambig.core.discovery import module_names, module_of

Rule = Callable[[Reasoning, Sequence[float], Sequence[str]], list[str]]


@cache
def rules() -> dict[str, Rule]:
    """Every rule by its module's name, in alphabetical order."""
    package = sys.modules[__name__]
    return {name: module_of(package, name).check for name in module_names(package)}


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Why the reasoning may not be used, as `rule: reason` lines; empty when every rule holds."""
    reasons_by_rule = {name: rule(reasoning, votes, categories) for name, rule in rules().items()}
    return [f"{name}: {reason}" for name, reasons in reasons_by_rule.items() for reason in reasons]
