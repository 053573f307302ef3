"""Prints pip constraints that pin each dependency of pyproject.toml to the lowest version that it allows."""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[\w,]+\])?>=([0-9.]+)")
EXTRAS = ("curation", "figures", "tensorboard")
"""Extras of users; the developers' tools may be of any version."""


def constraints() -> list[str]:
    """One `name==version` per dependency. ValueError for one without a lowest version."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    matches = [(line, REQUIREMENT.match(line)) for line in wanted]
    if loose := [line for line, match in matches if match is None]:
        raise ValueError(f"pyproject.toml: no lowest version of {', '.join(loose)}")
    return [f"{match[1]}=={match[2]}" for _, match in matches if match]


if __name__ == "__main__":
    sys.stdout.write("\n".join(constraints()) + "\n")
