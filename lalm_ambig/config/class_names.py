"""Short names of the project's own classes: a class name or a module name, in any case.

A method, a policy, a reward, a corpus or an engine may be named by its class (`GRPO`, `CausalLM`) or by its module
(`grpo`, `causal_lm`). A short name always means one of the project's own classes. All other classes need their full
path.
"""

from functools import cache
from types import ModuleType
from typing import Any

import lalm_ambig.corpora
import lalm_ambig.methods
import lalm_ambig.policies
import lalm_ambig.rewards
import lalm_ambig.rollouts.engines
from lalm_ambig.core.discovery import classes_in, module_names, module_of
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy
from lalm_ambig.rewards.base import Reward
from lalm_ambig.rollouts.engines.base import Engine

PACKAGES: dict[type[Any], ModuleType] = {
    Corpus: lalm_ambig.corpora,
    Engine: lalm_ambig.rollouts.engines,
    Method: lalm_ambig.methods,
    Policy: lalm_ambig.policies,
    Reward: lalm_ambig.rewards,
}
"""Base class to the package that holds its subclasses."""


def class_path_of(base: Any, name: str) -> str | None:
    """Return the class path of a short name.

    Args:
        base: The class that is expected: `Method`, `Policy`, `Reward`, `Corpus` or `Engine`.
        name: A class name or a module name, in any case.

    Returns:
        The class path. None for any other base, for a name with a dot, and for an unknown name.
    """
    if base not in PACKAGES or "." in name:
        return None
    folded = _folded(name)
    for module in module_names(PACKAGES[base]):
        if _folded(module) == folded and (paths := _class_paths(base, module)):
            return next(iter(paths.values()))
    return _all_class_paths(base).get(folded)


@cache
def _class_paths(base: Any, module: str) -> dict[str, str]:
    """Return the class paths of one module or package, by folded class name."""
    package = PACKAGES[base]
    classes = classes_in(module_of(package, module), base)
    return {_folded(cls.__name__): f"{package.__name__}.{module}.{cls.__name__}" for cls in classes}


@cache
def _all_class_paths(base: Any) -> dict[str, str]:
    modules = module_names(PACKAGES[base])
    return {name: path for module in modules for name, path in _class_paths(base, module).items()}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
