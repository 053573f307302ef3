"""Checks of the installation: package versions, and libraries that load."""

import importlib
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from lalm_ambig.checks.outcome import CheckResult, check_result, error_line
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
"""Lowest supported versions."""
HARMFUL = {"lightning": ("2.6.2", "2.6.3")}
"""Releases that were malware."""


def check_environment() -> Iterator[CheckResult]:
    """Check versions first, since they explain later failures."""
    for package, floor in FLOORS.items():
        yield _version(package, floor)
    yield _torchaudio()
    yield _soundfile()
    yield _processors()


def _version(package: str, floor: tuple[int, ...]) -> CheckResult:
    wanted = f"{package}>={'.'.join(map(str, floor))}"
    name, remedy = f"version of {package}", f"pip install '{wanted}'"
    try:
        installed = version(package)
    except PackageNotFoundError:
        return check_result(name, False, "not installed", remedy=remedy)
    if installed in HARMFUL.get(package, ()):
        return check_result(
            name, False, f"{installed} was malware", remedy=f"{remedy}, and change every password it saw"
        )
    numbers = tuple(int(part) for part in re.findall(r"\d+", installed.split("+")[0])[:3])
    return check_result(
        name, numbers >= floor, f"{installed} (needs {wanted.removeprefix(package)})", remedy=remedy
    )


def _torchaudio() -> CheckResult:
    """Torchaudio is imported by every processor of transformers."""
    remedy = (
        "torch and torchaudio must come from one index: pip install --force-reinstall torch torchaudio "
        "(a CPU-only torch beside PyPI's torchaudio, which links to CUDA, cannot be imported)"
    )
    try:
        importlib.import_module("torchaudio.functional")
    except (ImportError, OSError, RuntimeError) as error:
        return check_result("torchaudio imports", False, error_line(error), remedy=remedy)
    return check_result("torchaudio imports", True, f"beside torch {version('torch')}", remedy=remedy)


def _soundfile() -> CheckResult:
    """Soundfile reads every clip through libsndfile, a library outside of Python."""
    try:
        module = importlib.import_module("soundfile")
    except (ImportError, OSError, RuntimeError) as error:
        return check_result("soundfile imports", False, error_line(error), remedy=REMEDIES["soundfile"])
    return check_result("soundfile imports", True, f"libsndfile {module.__libsndfile_version__}", remedy="")


def _processors() -> CheckResult:
    remedy = "see the line above; otherwise reinstall transformers"
    try:
        importlib.import_module("transformers.models.auto.processing_auto")
    except (ImportError, OSError, RuntimeError) as error:
        return check_result("transformers' processors import", False, error_line(error), remedy=remedy)
    return check_result("transformers' processors import", True, "loaded", remedy=remedy)
