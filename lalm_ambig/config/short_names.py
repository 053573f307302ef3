"""Short names of configuration files: `--policy qwen2_audio --data crema_d --method grpo`.

One rule says what a name means. Written exactly as a file of `configs/policy`, `configs/data` or `configs/method` is
called, it is that file, with the file's settings. Anything else is a class (`--policy Qwen2Audio`, `--method GRPO`),
with the defaults in the code. A path is a file. `lalm-ambig list` shows both. `--preset` and `--hardware` take files.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lalm_ambig.config.class_names import class_path_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.files.config_files import is_path, is_there, located, named_file, names_of
from lalm_ambig.files.yaml import read_yaml
from lalm_ambig.help.catalogue import kinds
from lalm_ambig.help.names import closest
from lalm_ambig.methods.base import Method
from lalm_ambig.policies.base import Policy

CONFIG = ("-c", "--config")
CLASSES: dict[str, tuple[type[Any], str, str]] = {
    "policy": (Policy, "policy", "policies"),
    "data": (Corpus, "data.corpus", "corpora"),
    "method": (Method, "model", "methods"),
}
"""Kinds that are a file or a class: base class, key of the class, and name in `list`."""
FILES = ("preset", "hardware")
"""Kinds that are always a file."""
CHOICE_HELP = {
    "--policy NAME": "model: a file of configs/policy (qwen2_audio), a class (Qwen2Audio) or a path",
    "--data NAME": "corpus: a file of configs/data (crema_d), a class (CremaD) or a path",
    "--method NAME": "method: a file of configs/method (grpo), a class (GRPO) or a path",
    "--preset NAME": "all three in one file: demo_grpo, paper/lalm/crema_d_grpoz, … (list presets)",
    "--hardware NAME": "devices, strategy and batch sizes: one_24gb, eight_gpus, … (list hardware)",
    "-c, --config FILE": "YAML with any keys; a later file wins over an earlier one, options over files",
    "without these": "the tiny model on the demo corpus, KL-only: preset demo",
}


def expanded(words: Sequence[str]) -> list[str]:
    """Replace short names in a command line by the files or classes that they mean.

    Args:
        words: The command line.

    Returns:
        The command line in the options of the parser: `--config FILE`, `--policy`, `--data.corpus`, `--model`.

    Raises:
        InputError: There is no such file, and no such class.
    """
    return [word for option, values in option_groups(words) for word in _expanded(option, values)]


def option_groups(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each option with the words that follow it. Words before any option have an empty option.

    >>> list(option_groups(["--policy=tiny", "--seeds", "0", "1"]))
    [('--policy', ['=tiny']), ('--seeds', ['0', '1'])]
    """
    option: str | None = None
    values: list[str] = []
    for word in words:
        if word.startswith("--") or word.startswith("-c"):
            if option is not None:
                yield option, values
            option, equals, value = word.partition("=")
            values = [f"={value}"] if equals else []
        else:
            option = option or ""
            values.append(word)
    if option is not None:
        yield option, values


def joined(option: str, values: Sequence[str]) -> list[str]:
    """Return the words of an option of `option_groups`."""
    if values and values[0].startswith("=") and option:
        return [f"{option}{values[0]}", *values[1:]]
    return [option, *values] if option else list(values)


def _expanded(option: str, values: list[str]) -> list[str]:
    kind, rest = option.removeprefix("--"), values[1:]
    if not values and option.startswith("--") and kind in (*CLASSES, *FILES):
        raise InputError(f"no name is given. There are {', '.join(names_of(kind)[:12])} …", where=option)
    if not values:
        return joined(option, values)
    value = values[0].removeprefix("=") if values[0].startswith("=") else values[0]
    if option in CONFIG:
        return [f"--config={located(value)}", *rest]
    if option.startswith("--") and kind in FILES:
        return [f"--config={_file_of(kind, value)}", *rest]
    if option == "--model":
        _check_no_file(value)
    if not option.startswith("--") or kind not in CLASSES:
        return joined(option, values)
    _, key, _ = CLASSES[kind]
    if (path := _whole_file(kind, value)) is not None:
        return [f"--config={path}", *rest]
    if kind == "data" and value.lstrip().startswith("{"):
        return joined(option, values)
    _check_class(kind, value)
    return [f"--{key}={value}", *rest]


def _file_of(kind: str, value: str) -> Path:
    """Return the file of a preset or of a kind of hardware, by name or path."""
    if (path := named_file(kind, value)) is not None:
        return path
    if is_path(value):
        return located(value)
    names = names_of(kind)
    meant = next((name for name in names if name.rpartition("/")[2] == value), None) or closest(value, names)
    guess = f": did you mean {meant}?" if meant else "."
    remedy = f"list presets shows all {len(names)}." if kind == "preset" else f"There are {', '.join(names)}."
    raise InputError(f"no {kind} {value!r}{guess}", where=f"--{kind}", remedy=remedy)


def _whole_file(kind: str, value: str) -> Path | None:
    """Return the file that a value means; None for a class, and for a file of this part alone."""
    if (path := named_file(kind, value)) is not None:
        return path
    path = located(value)
    if not is_path(value):
        return None
    if not is_there(path):
        return path  # which the check of all files refuses
    content = read_yaml(path)
    is_part = isinstance(content, Mapping) and ("class_path" in content or "init_args" in content)
    return None if is_part or not isinstance(content, Mapping) else path


def _check_no_file(value: str) -> None:
    if value in names_of("method") and class_path_of(Method, value) is None:
        raise InputError(
            f"{value} is a file of configs/method, and no class:",
            where="--model",
            remedy=f"give --method {value}.",
        )


def _check_class(kind: str, value: str) -> None:
    """Refuse a name that is neither a file nor one of the project's classes. A path is left to the parser."""
    base, _, listed = CLASSES[kind]
    plain = value.replace("_", "").isalnum()
    if not plain or class_path_of(base, value) is not None:
        return
    files, classes = names_of(kind), [entry.name for entry in kinds()[listed].entries]
    first, second = (classes, files) if value != value.lower() else (files, classes)
    meant = closest(value, first) or closest(value, second)
    guess = f": did you mean {meant}?" if meant else "."
    remedy = f"Expected one of {', '.join(files)}, or a class: {', '.join(classes)}; or a class path."
    raise InputError(f"no {kind} {value!r}{guess}", where=f"--{kind}", remedy=remedy)
