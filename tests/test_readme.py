"""README is short; its commands run, and those of all pages are understood. Links: see test_docs_site."""

import re
from pathlib import Path

import pytest
from task_page import Task, command_of
from workshop import Workshop, made_workshop, parse_as_written  # noqa: F401  # a fixture

from lalm_ambig.__main__ import dispatch

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [
    README,
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name != "tasks.md"),
]
BASH = re.compile(r"^ *```bash\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """This project's commands in a page's shell blocks, with lines that end in a backslash joined."""
    text = "".join(BASH.findall(page.read_text(encoding="utf-8"))).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.startswith("lalm-ambig ")]


SHOWN = [(page, line) for page in PAGES for line in commands(page)]


def test_the_readme_is_read_in_one_sitting() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") <= 120
    for word in ("speech emotion recognition", "soft labels", "2603.08230", "2606.05376", "pip install"):
        assert word in text


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("page", "line"), SHOWN, ids=[f"{page.stem}-{line[11:50]}" for page, line in SHOWN])
def test_every_command_is_understood(page: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert page.is_file() and "…" not in line, "a block that is called bash can be copied"
    if line.endswith("--help"):
        assert not dispatch(command_of(line) or [])
    else:
        parse_as_written(line, monkeypatch)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_commands_of_the_readme_run(workshop: Workshop) -> None:
    for number, line in enumerate(commands(README)):
        how = "serve" if line.startswith("lalm-ambig serve") else ""
        workshop.run(Task(number, line, how, "bash", line, ""))
    assert Path("runs/first/results.md").is_file() and Path("answers.csv").is_file()
