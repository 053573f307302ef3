"""Checks, before a command starts, that Python and the required packages are installed and new enough.

It runs before any other module is imported. It therefore uses Python's standard library only, and syntax that an older
Python can read, so that every problem is named in one line.
"""

from __future__ import annotations

import linecache
import re
import sys
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[2]
PACKAGES = ("lalm_ambig", "data_curation")
"""The packages of this project."""
OURS = tuple(str(TREE / package) for package in PACKAGES)
PYTHON = (3, 11)
REQUIRED = re.compile(r"([A-Za-z0-9_.-]+)(\[[\w,]+\])? *>= *([0-9][0-9.]*)")
REMEDIES = {
    "soundfile": "pip install --force-reinstall soundfile brings libsndfile along; or the system's packages do "
    "(libsndfile1 on Debian and Ubuntu).",
    "torchaudio": "torch and torchaudio must come from one index: pip install --force-reinstall torch torchaudio.",
}
"""Remedies for packages that need more than a new installation."""
DOCTOR = "doctor"
"""The command that lists versions itself, and needs few packages for it."""
SCRIPT = "lalm-ambig"
"""The console script."""
USER_ERROR = 2


def is_command() -> bool:
    """Whether this process runs one of our commands, rather than importing the package."""
    program = sys.argv[0] if sys.argv else ""
    return program == "-m" or Path(program).stem == SCRIPT or Path(program).absolute().parent.name in PACKAGES


def check_command() -> None:
    """End the process with one line where Python or a required package is missing or too old.

    It also installs a hook that names, in one line, a library that cannot be imported later.
    """
    doctor = f"lalm_ambig.{DOCTOR}" in getattr(sys, "orig_argv", ()) or sys.argv[1:2] == [DOCTOR]
    wrong = wrong_python() or first_wrong(required(), only=("rich",) if doctor else ())
    if wrong:
        print(f"error: {wrong}", file=sys.stderr)
        sys.exit(USER_ERROR)
    sys.excepthook = _say_import


def wrong_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> str | None:
    """The message about a Python that is too old; None where it is new enough."""
    if version >= PYTHON:
        return None
    shown, needed = (".".join(map(str, numbers)) for numbers in (version, PYTHON))
    return (
        f"lalm_ambig needs Python {needed} or newer, and this is {shown} ({sys.executable}). "
        f"Make an environment with a newer one: python{needed} -m venv .venv."
    )


def required() -> dict[str, str]:
    """Lowest version of each required package, from the source tree's pyproject.toml or else the installed metadata."""
    project = TREE / "pyproject.toml"
    if project.is_file() and 'name = "lalm_ambig"' in (text := project.read_text(encoding="utf-8")):
        _, _, rest = text.partition("\ndependencies = [")
        lines = rest.partition("\n]")[0].splitlines()
    else:
        from importlib.metadata import PackageNotFoundError, requires

        try:
            lines = [line for line in requires("lalm_ambig") or [] if "extra ==" not in line]
        except PackageNotFoundError:
            lines = []
    matches = (REQUIRED.search(line) for line in lines)
    return {match[1]: match[3] for match in matches if match}


def first_wrong(wanted: dict[str, str], *, only: tuple[str, ...] = ()) -> str | None:
    """The message about the first package that is missing or too old, with the number of others."""
    wrong = [(name, line) for name in only or wanted if (line := wrong_package(name, wanted.get(name, "0")))]
    if not wrong:
        return None
    several = len(wrong) > 1
    others = f"{len(wrong) - 1} more packages are missing or too old. " if several else ""
    return f"{wrong[0][1]} {others}Run: {remedy_of(wrong[0][0], wanted, several=several)}"


def wrong_package(name: str, floor: str) -> str | None:
    """The message about a package that is missing or too old; None where it is neither."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version(name) or "0"  # None where an installation was interrupted
    except PackageNotFoundError:
        return f"{name} is not installed, and lalm_ambig needs {name}>={floor}."
    return (
        f"{name} {installed} is installed, and lalm_ambig needs {name}>={floor}."
        if older(installed, floor)
        else None
    )


def older(version: str, floor: str) -> bool:
    """Whether a version is older than another. Their parts are compared as numbers, so `2.9` is older than `2.10`."""
    parts, least = (
        [int(part) for part in re.findall(r"\d+", text.split("+")[0])[:3]] for text in (version, floor)
    )
    return parts < least


def remedy_of(name: str, wanted: dict[str, str], *, several: bool) -> str:
    """The pip command that mends one package, or the installation of the project where several are wrong."""
    pip = f"{sys.executable} -m pip install"
    if not several:
        return f"{pip} '{name}>={wanted.get(name, '0')}'"
    return f"{pip} -e {TREE}" if (TREE / "pyproject.toml").is_file() else f"{pip} --upgrade lalm_ambig"


def extras() -> dict[str, str]:
    """The extra of each package that only an extra installs: as the tree says, or else as installed."""
    project = TREE / "pyproject.toml"
    if project.is_file():
        import tomllib  # not above: an older Python has none

        optional = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        pairs = [(line, extra) for extra, lines in optional.items() for line in lines]
    else:
        from importlib.metadata import PackageNotFoundError, requires

        try:
            lines = requires("lalm_ambig") or []
        except PackageNotFoundError:  # a copy of the package alone
            lines = []
        marked = (line.partition("extra ==") for line in lines)
        pairs = [(line, extra.strip(" '\")")) for line, _, extra in marked if extra]
    names = ((re.match(r"[A-Za-z0-9_-]+", line), extra) for line, extra in pairs if extra != "dev")
    return {match[0]: extra for match, extra in names if match}


def install_extra(extra: str) -> str:
    """The line of pip that installs an extra, for this Python."""
    pip = f"{sys.executable} -m pip install"
    tree = (TREE / "pyproject.toml").is_file()
    return f"{pip} -e '{TREE}[{extra}]'" if tree else f"{pip} 'lalm_ambig[{extra}]'"


def import_failure(error: BaseException) -> str | None:
    """The message about an installed library that cannot be imported; None for every other error."""
    ours = [frame for frame in frames(error) if is_ours(frame[0])]
    if not ours or not isinstance(error, (ImportError, OSError, RuntimeError, AttributeError)):
        return None
    if not linecache.getline(*ours[-1]).lstrip().startswith(("import ", "from ")):
        return None
    cause = _first(error)
    library = _library(cause)
    if library is None or library in PACKAGES:
        return None
    message = next(iter(str(cause).splitlines()), "") or "no message"
    if isinstance(cause, ModuleNotFoundError):
        extra = extras().get(library)
        remedy = install_extra(extra) if extra else remedy_of(library, required(), several=False)
        return f"{library} is not installed. Run: {remedy}"
    mend = REMEDIES.get(library) or f"Run: {sys.executable} -m pip install --force-reinstall {library}"
    return f"{library} is installed, but cannot be imported: {type(cause).__name__}: {message}. {mend}"


def _say_import(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    """Print one line in place of a traceback where a library cannot be imported."""
    line = import_failure(error)
    if line is None:
        sys.__excepthook__(kind, error, traceback)
        return
    print(f"error: {line}", file=sys.stderr)
    sys.exit(USER_ERROR)


def _first(error: BaseException) -> BaseException:
    """The original error: transformers raises its own from those of other libraries."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _library(error: BaseException) -> str | None:
    """The package that could not be imported: named by the error, or else the deepest one in its traceback."""
    if isinstance(error, ModuleNotFoundError):
        return error.name and error.name.partition(".")[0]
    named = [name for file, _ in frames(error) if (name := _top_level(file))]
    return named[-1] if named else getattr(error, "name", None)


def _top_level(file: str) -> str | None:
    """The package that a file belongs to, by its folder on `sys.path`; None for Python's standard library."""
    for folder in sorted(
        (Path(entry).absolute() for entry in sys.path if entry), key=lambda p: -len(p.parts)
    ):
        if Path(file).is_relative_to(folder):
            name = Path(file).relative_to(folder).parts[0].removesuffix(".py")
            return None if name in sys.stdlib_module_names else name
    return None


def is_ours(file: str) -> bool:
    """Whether a file is a module of this project."""
    return str(Path(file).resolve().parent).startswith(OURS)


def frames(error: BaseException) -> list[tuple[str, int]]:
    """File and line of each call in an error's traceback, the outermost first."""
    calls, trace = [], error.__traceback__
    while trace is not None:
        calls.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return calls
