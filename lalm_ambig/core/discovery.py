"""One finder for what is added as a file: corpora, baselines, metrics, policies, tables, figures, filters."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def module_names(package: ModuleType) -> list[str]:
    """Names of the modules and rooms of a package, sorted. None of them is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def module_of(package: ModuleType, name: str) -> ModuleType:
    """Import a module of a package.

    Raises:
        ModuleNotFoundError: The package has no module of this name.
    """
    return importlib.import_module(f"{package.__name__}.{name}")


def classes_in(module: ModuleType, base: type[T]) -> list[type[T]]:
    """Concrete subclasses of `base` that a module defines, or that a room imports in its `__init__`."""
    inside = (module.__name__, f"{module.__name__}.")
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
        and (value.__module__ == inside[0] or value.__module__.startswith(inside[1]))
    ]


def classes_of(package: ModuleType, base: type[T]) -> dict[str, type[T]]:
    """Concrete subclasses of `base` in all modules of a package, by class name. Every module is imported."""
    modules = (module_of(package, name) for name in module_names(package))
    return {cls.__name__: cls for module in modules for cls in classes_in(module, base)}
