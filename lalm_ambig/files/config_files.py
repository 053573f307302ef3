"""The project's configuration files, found by name wherever the package is installed.

A name is what `lalm-ambig list` shows: `qwen2_audio` of `policy/`, `demo_grpo` of `preset/`, `paper/lalm/…`.
A path that is a file is that file. A path that is none, such as `configs/policy/tiny.yaml` outside of a checkout, is
looked for among the project's files.
"""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
SENTENCE_END = re.compile(r"(?<!eqs)(?<!eq)(?<!App)\. (?=[A-Z])|: give |; ")
SUFFIXES = (".yaml", ".yml", ".json")
FOLDERS = {"policy": "policy", "data": "data", "method": "method", "hardware": "hardware", "study": "study"}
"""What a file sets, with its folder. Presets are in `preset/` and `paper/`."""


def config_folder() -> Path:
    """Return the folder of the project's configuration files.

    Returns:
        The folder inside the installed package, or beside the package in a checkout.
    """
    inside = PACKAGE / "configs"
    return inside if inside.is_dir() else PACKAGE.parent / "configs"


def names_of(kind: str) -> list[str]:
    """Return the names of a kind's files.

    Args:
        kind: A key of `FOLDERS`, or `preset`.

    Returns:
        The names, sorted; those of `paper/` follow the presets.
    """
    folder = config_folder()
    if kind != "preset":
        return sorted(path.stem for path in (folder / FOLDERS[kind]).glob("*.yaml"))
    papers = sorted(
        path.relative_to(folder).with_suffix("").as_posix() for path in folder.glob("paper/**/*.yaml")
    )
    return [*sorted(path.stem for path in (folder / "preset").glob("*.yaml")), *papers]


def named_file(kind: str, name: str) -> Path | None:
    """Return the file of a name.

    Args:
        kind: A key of `FOLDERS`, or `preset`.
        name: The name, exactly as it is listed.

    Returns:
        The file; None if there is none of that name.
    """
    if name not in names_of(kind):
        return None
    folder = config_folder()
    if kind == "preset":
        return folder / f"{name}.yaml" if "/" in name else folder / "preset" / f"{name}.yaml"
    return folder / FOLDERS[kind] / f"{name}.yaml"


def is_path(text: str) -> bool:
    """Return whether a text is written as the path of a configuration file, and not as a name.

    Args:
        text: The text.

    Returns:
        True if it ends as such files do.
    """
    return text.lower().endswith(SUFFIXES)


def located(text: str | Path) -> Path:
    """Return where a configuration file is.

    Args:
        text: A path as the user wrote it.

    Returns:
        The path, if something is there. Otherwise the project's own file of that path, with or without `configs/`
        before it; without one, the path.
    """
    path = Path(text)
    try:
        path = path.expanduser()
        if path.exists() or path.is_absolute():
            return path
        parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
        inside = config_folder().joinpath(*parts)
        return inside if ".." not in parts and is_path(path.name) and inside.is_file() else path
    except (OSError, RuntimeError, ValueError):  # no name that a file can have, or nobody's home
        return path


def is_there(path: Path) -> bool:
    """Return whether a path is a file; False for what no file can be called."""
    try:
        return path.is_file()
    except OSError:
        return False


def first_comment(path: Path) -> str:
    """Return what a configuration file is, from the comment at its head.

    Args:
        path: The file.

    Returns:
        The comment's first sentence in one line; an empty text without a comment.
    """
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return SENTENCE_END.split(" ".join(lines), maxsplit=1)[0].rstrip(".")
