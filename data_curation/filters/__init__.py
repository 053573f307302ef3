"""The rules that every chain of thought must keep. Both writers and `validate` share them.

A *rule* is a module `filters/NAME.py` with a function `check(reasoning, votes, categories) -> list[str]`. It returns
the reasons why the rule is broken, and an empty list where it holds. The modules of this package are found by
themselves.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache

from data_curation.records import Reasoning
from lalm_ambig.core.discovery import module_names, module_of

Rule = Callable[[Reasoning, Sequence[float], Sequence[str]], list[str]]


@cache
def rules() -> dict[str, Rule]:
    """All rules by module name, in alphabetical order."""
    package = sys.modules[__name__]
    return {name: module_of(package, name).check for name in module_names(package)}


def check(reasoning: Reasoning, votes: Sequence[float], categories: Sequence[str]) -> list[str]:
    """Check all rules; returns `rule: reason` for each broken one, and an empty list where all hold."""
    reasons_by_rule = {name: rule(reasoning, votes, categories) for name, rule in rules().items()}
    return [f"{name}: {reason}" for name, reasons in reasons_by_rule.items() for reason in reasons]
