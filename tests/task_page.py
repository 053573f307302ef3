"""The tasks of docs/guides/tasks.md: what a page for new users says, as commands that a test can run."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "tasks.md"
TASK = re.compile(
    r"^\*\*(?P<number>\d+)\. (?P<wish>[^*]+)\*\*[^\n]*\n"
    r"(?:<!-- run: (?P<how>[^\n]+) -->\n)?"
    r"```(?P<language>bash|python)\n(?P<block>.*?)^```\n"
    r"\*(?P<outcome>[^\n]+)\*$",
    re.MULTILINE | re.DOTALL,
)
HOW = ("", "exit 2", "parse", "wandb", "serve", "killed")
"""What the comment above a block may say: run it, see it refused, only parse it, run it where W&B is
installed, stop the server that it starts, or kill it in its second step and give it again."""
COMMAND = "lalm-ambig "
SOURCED = re.compile(r"^source <\((.*)\)$")
PATH = re.compile(r"`([\w.-]+/[\w./-]*)`")


@dataclass(frozen=True)
class Task:
    """One wish of a user, and how it is met."""

    number: int
    wish: str
    how: str
    language: str
    block: str
    outcome: str

    @property
    def lines(self) -> list[str]:
        return [line for line in self.block.splitlines() if line.strip()]

    @property
    def paths(self) -> list[str]:
        """Files and folders that the outcome names."""
        return PATH.findall(self.outcome)


def tasks() -> list[Task]:
    """Return the page's tasks in their order."""
    found = []
    for match in TASK.finditer(PAGE.read_text(encoding="utf-8")):
        part = {name: text or "" for name, text in match.groupdict().items()}
        found.append(Task(int(part.pop("number")), **part))
    return found


def command_of(line: str) -> list[str] | None:
    """Return the words of a line's command, with `~` as a shell has it; None for `export NAME=VALUE`.

    Raises:
        ValueError: The line is neither.
    """
    if exported(line):
        return None
    inner = SOURCED.match(line)
    line = inner[1] if inner else line
    if not line.startswith(COMMAND):
        raise ValueError(f"neither a command of this project nor an export: {line}")
    words = shlex.split(line, comments=True)[1:]
    return [
        str(Path(word).expanduser()) + "/" * word.endswith("/") if word[:2] == "~/" else word
        for word in words
    ]


def exported(line: str) -> tuple[str, str] | None:
    """Return name and value of `export NAME=VALUE`; None for another line."""
    found = re.match(r"^export (\w+)=(\S+)$", line)
    return (found[1], found[2]) if found else None
