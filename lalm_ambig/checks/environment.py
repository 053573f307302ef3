"""Checks of what is installed: versions that belong together, and libraries that load."""

import importlib
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from lalm_ambig.checks.outcome import Outcome, outcome
from lalm_ambig.core.installation import REMEDIES

FLOORS = {
    "torch": (2, 11),
    "torchaudio": (2, 11),
    "lightning": (2, 6, 6),
    "transformers": (5, 24),
    "peft": (0, 21),
    "torchmetrics": (1, 9),
    "datasets": (5, 2),
    "jsonargparse": (4, 53),
}
"""Lowest versions that the project is made for."""
HARMFUL = {"lightning": ("2.6.2", "2.6.3")}
"""Releases that were malware."""


def check_environment() -> Iterator[Outcome]:
    """Versions first: they explain what else may fail."""
    for package, floor in FLOORS.items():
        yield _version(package, floor)
    yield _torchaudio()
    yield _soundfile()
    yield _processors()


def _version(package: str, floor: tuple[int, ...]) -> Outcome:
    wanted = f"{package}>={'.'.join(map(str, floor))}"
    name, remedy = f"version of {package}", f"pip install '{wanted}'"
    try:
        found = version(package)
    except PackageNotFoundError:
        return outcome(name, False, "not installed", remedy=remedy)
    if found in HARMFUL.get(package, ()):
        return outcome(
            name, False, f"{found} was malware", remedy=f"{remedy}, and change every password it saw"
        )
    numbers = tuple(int(part) for part in re.findall(r"\d+", found.split("+")[0])[:3])
    return outcome(name, numbers >= floor, f"{found} (needs {wanted.removeprefix(package)})", remedy=remedy)


def _torchaudio() -> Outcome:
    """torchaudio is imported by every transformers processor, whatever is asked of it."""
    remedy = (
        "torch and torchaudio must come from one index: pip install --force-reinstall torch torchaudio "
        "(a CPU-only torch beside PyPI's torchaudio, which links to CUDA, cannot be imported)"
    )
    try:
        importlib.import_module("torchaudio.functional")
    except (ImportError, OSError, RuntimeError) as error:
        return outcome("torchaudio imports", False, _line(error), remedy=remedy)
    return outcome("torchaudio imports", True, f"beside torch {version('torch')}", remedy=remedy)


def _soundfile() -> Outcome:
    """soundfile reads every clip, by a library that is not Python's."""
    try:
        module = importlib.import_module("soundfile")
    except (ImportError, OSError, RuntimeError) as error:
        return outcome("soundfile imports", False, _line(error), remedy=REMEDIES["soundfile"])
    return outcome("soundfile imports", True, f"libsndfile {module.__libsndfile_version__}", remedy="")


def _processors() -> Outcome:
    remedy = "see the line above; otherwise reinstall transformers"
    try:
        importlib.import_module("transformers.models.auto.processing_auto")
    except (ImportError, OSError, RuntimeError) as error:
        return outcome("transformers' processors import", False, _line(error), remedy=remedy)
    return outcome("transformers' processors import", True, "loaded", remedy=remedy)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
