"""Fetches the wheels that the project needs beyond what a GPU machine without a package index has installed.

`python tests/gpu/wheels.py` puts them into tests/gpu/wheels, which git ignores; `--list` only names them. Their
versions are those that are installed here; which of them are needed follows from the packages' own requirements.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "lalm_ambig"
FOLDER = Path(__file__).parent / "wheels"
PYTHON = "3.12"
PLATFORMS = ("2_39", "2_35", "2_34", "2_31", "2_28", "2_27", "2_24", "2_17")
"""manylinux versions whose wheels such a machine takes."""
MACHINE = {
    "huggingface-hub": "1.33.0",
    "jaxtyping": "0.3.11",
    "lightning": "2.6.6",
    "numpy": "2.5.2",
    "safetensors": "0.8.0",
    "tokenizers": "0.23.2",
    "torch": "2.11.0",
    "torchaudio": "2.11.0",
    "torchmetrics": "1.9.0",
    "transformers": "5.17.0",
}
"""What the machine has, in the versions that were seen there."""
MACHINE_IN_ANY_VERSION = (
    *("accelerate", "attrs", "filelock", "fsspec", "matplotlib", "packaging", "pandas", "pyarrow", "pyyaml"),
    *("regex", "rich", "scipy", "tensorboard", "tqdm", "typer", "typing-extensions", "xxhash", "psutil"),
)
"""What it has, too, new enough as far as anyone knows."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/gpu/wheels.py", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder for the wheels (default: %(default)s)"
    )
    parser.add_argument("--list", action="store_true", help="only print what is needed")
    options = parser.parse_args()
    wanted = [f"{name}=={version(name)}" for name in sorted(needed())]
    print("\n".join(wanted))
    if options.list:
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("*.whl"):  # two versions of a package stop an installation
        old.unlink()
    return fetched(wanted, options.out)


def needed() -> set[str]:
    """Packages that the project requires, directly or not, and that the machine lacks or has too old."""
    found: set[str] = set()
    waiting = [Requirement(PROJECT)]
    while waiting:
        for requirement in required_by(waiting.pop()):
            name = canonicalize_name(requirement.name)
            if name not in found and not machine_has(requirement):
                found.add(name)
                waiting.append(requirement)
    return found


def required_by(package: Requirement) -> Iterator[Requirement]:
    """What a package requires on the machine, with the extras that were asked for."""
    for line in requires(package.name) or []:
        requirement = Requirement(line)
        for extra in ("", *package.extras):
            about = {"extra": extra, "python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
            if requirement.marker is None or requirement.marker.evaluate(about):
                yield requirement
                break


def machine_has(requirement: Requirement) -> bool:
    """Whether what is installed there is enough."""
    name = canonicalize_name(requirement.name)
    if name in MACHINE:
        return requirement.specifier.contains(MACHINE[name])
    return name in MACHINE_IN_ANY_VERSION


def fetched(wanted: list[str], folder: Path) -> int:
    """The wheels in the folder; pip's exit code."""
    words = [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        PYTHON,
        "--implementation",
        "cp",
    ]
    for platform in PLATFORMS:
        words += ["--platform", f"manylinux_{platform}_x86_64"]
    words += ["--platform", "manylinux2014_x86_64", "--quiet", "--dest", str(folder)]
    code = subprocess.run([sys.executable, "-m", "pip", *words, *wanted], check=False).returncode
    size = sum(wheel.stat().st_size for wheel in folder.glob("*.whl"))
    print(f"{len(list(folder.glob('*.whl')))} wheels, {size / 1e6:.0f} MB: {folder}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
