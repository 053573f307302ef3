"""Runs commands of a copy of the package for which no metadata is installed, one after the other.

Arguments: the folder of the copy. Reads a list of command lines from standard input, the command's name first, and
prints each one's exit code, or its error.
"""

import importlib
import importlib.metadata as metadata
import json
import sys
from collections.abc import Sequence
from pathlib import Path

FIND = metadata.Distribution.from_name.__func__  # type: ignore[attr-defined]


def hidden(kind: type[metadata.Distribution], name: str) -> metadata.Distribution:
    """As `Distribution.from_name`, which version() and requires() call, but for the project."""
    if name.replace("-", "_") == "lalm_ambig":
        raise metadata.PackageNotFoundError(name)
    found: metadata.Distribution = FIND(kind, name)
    return found


def run(words: Sequence[str]) -> int | str:
    sys.argv = [words[0], *words[1:]]
    module = importlib.import_module(f"lalm_ambig.{words[0]}")
    try:
        return int(module.main() if words[0] == "fit" else module.main(words[1:]))
    except SystemExit as end:
        return end.code or 0
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main() -> None:
    answers = sys.stdout
    sys.stdout = sys.stderr
    metadata.Distribution.from_name = classmethod(hidden)  # type: ignore[assignment,method-assign]
    import lalm_ambig
    from lalm_ambig.core.installation import check_command

    assert Path(lalm_ambig.__file__).is_relative_to(sys.argv[1]), lalm_ambig.__file__
    check_command()
    for words in json.load(sys.stdin):
        print(json.dumps(run(words)), file=answers, flush=True)


if __name__ == "__main__":
    main()
