"""The pretend accelerator compiled once per version of torch and of its source, into a folder that git ignores."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torchgen
import yaml
from torch.utils import cpp_extension

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
SOURCES = ("accelerator.cpp", "every_operator.h")
GENERATED = "operators_without_device_check.h"
OPERATORS = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
"""torch's own list of its operators, which says of each whether CUDA compares its arguments' devices."""


def cannot_build() -> str | None:
    """Why nothing can be compiled here; None where it can."""
    compiler = os.environ.get("CXX", "c++")
    if shutil.which(compiler) is None:
        return f"no C++ compiler ({compiler})"
    if not cpp_extension.is_ninja_available():
        return "no ninja"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "no Python.h (the package python3-dev)"
    return None


def load() -> Any:
    """The compiled backend as a Python module; half a minute the first time, seconds later."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / "being_built"):
        (folder / "lock").unlink(missing_ok=True)  # torch's own, which outlives a process that was killed
        header = folder / GENERATED
        text = without_device_check()
        if not header.is_file() or header.read_text() != text:
            header.write_text(text)
        return cpp_extension.load(
            "pretend_accelerator",
            [str(HERE / SOURCES[0])],
            extra_cflags=["-O1", "-w"],
            extra_include_paths=[str(folder), str(HERE)],
            build_directory=str(folder),
        )


def without_device_check() -> str:
    """A C++ header: the operators that take a CPU number beside device tensors."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    operators = yaml.load(OPERATORS.read_text(), Loader=loader)
    names = sorted(
        {
            "aten::" + operator["func"].split("(")[0]
            for operator in operators
            if str(operator.get("device_check", "")).split()[:1] == ["NoCheck"]
        }
    )
    listed = ",\n".join(f'    "{name}"' for name in names)
    return f"static const std::unordered_set<std::string> WITHOUT_DEVICE_CHECK = {{\n{listed}}};\n"


def _folder() -> Path:
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in SOURCES)).hexdigest()[:12]
    return REPOSITORY / "build" / "pretend_accelerator" / f"torch-{torch.__version__}-{digest}"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Inside, no other process is: the others wait."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
