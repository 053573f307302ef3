"""The YAML files of a run: which are stacked, and what they may name."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

import lalm_ambig
from lalm_ambig.errors import InputError

TRUSTED = ("lalm_ambig.", "lightning.", "torch.")
"""A class path in a YAML file is code that will be run: others than these need --allow-any-class."""
ALLOW_FLAG = "--allow-any-class"
DEFAULTS = {"policy": "policy/tiny.yaml", "data": "data/demo.yaml", "model": "method/sft.yaml"}


def config_folder() -> Path:
    """The project's configuration files: inside the installed package, or beside it in a checkout."""
    package = Path(lalm_ambig.__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def config_files(arguments: Sequence[str]) -> list[Path]:
    """The files given by --config, which must exist; a path under the project's own configs/ may be given alone."""
    found = []
    for index, argument in enumerate(arguments):
        value = argument.removeprefix("--config=") if argument.startswith("--config=") else None
        if argument == "--config" and index + 1 < len(arguments):
            value = arguments[index + 1]
        if value is not None:
            if not Path(value).is_file():
                raise InputError(
                    f"no such file: {value}",
                    where="--config",
                    remedy=f"The project's own are in {config_folder()}.",
                )
            found.append(Path(value))
    return found


def default_files(files: Sequence[Path]) -> list[str]:
    """`base.yaml`, and the embedded defaults where no file at all is given."""
    contents = [_yaml(path) for path in files]
    missing = [kind for kind in DEFAULTS if not any(kind in content for content in contents)]
    if files and missing:
        folder = Path(DEFAULTS[missing[0]]).parent
        known = ", ".join(sorted(p.stem for p in (config_folder() / folder).glob("*.yaml")))
        raise InputError(
            f"no file configures {missing[0]!r}:",
            where="--config",
            remedy=f"add --config configs/{folder}/NAME.yaml (NAME: {known}).",
        )
    names = ["base.yaml", *(DEFAULTS[kind] for kind in missing)]
    return [f"--config={config_folder() / name}" for name in names]


def check_trusted(files: Sequence[Path], *, allow_any: bool) -> None:
    """InputError for a class path outside the trusted packages, naming file and class."""
    for path in [] if allow_any else files:
        for class_path in _class_paths(_yaml(path)):
            if not class_path.startswith(TRUSTED) and "." in class_path:
                raise InputError(
                    f"class_path {class_path} is not under {', '.join(TRUSTED)}: a file may not run other code.",
                    where=str(path),
                    remedy=f"If you trust it, add {ALLOW_FLAG}.",
                )


def _yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"not a YAML file: {error}", where=str(path)) from error
    if not isinstance(content, dict):
        raise InputError("a configuration file holds keys and values", where=str(path))
    return content


def _class_paths(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["class_path"]] if isinstance(value.get("class_path"), str) else []
        return own + [found for inner in value.values() for found in _class_paths(inner)]
    return [found for inner in value for found in _class_paths(inner)] if isinstance(value, list) else []
