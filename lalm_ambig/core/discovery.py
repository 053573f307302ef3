"""One finder for what is added as a file: corpora, baselines, metrics, policies, tables, figures, filters."""

import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def module_names(package: ModuleType) -> list[str]:
    """Names of the modules and rooms of a package, sorted; none of them is imported."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def module_of(package: ModuleType, name: str) -> ModuleType:
    """Module `name` of the package, imported. ModuleNotFoundError where there is none."""
    return importlib.import_module(f"{package.__name__}.{name}")


def classes_in(module: ModuleType, base: type[T]) -> list[type[T]]:
    """Concrete subclasses of `base` that the module defines, or that a room offers at its door."""
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
    """Every concrete subclass of `base` in the package's modules, by class name; imports all of them."""
    modules = (module_of(package, name) for name in module_names(package))
    return {cls.__name__: cls for module in modules for cls in classes_in(module, base)}
