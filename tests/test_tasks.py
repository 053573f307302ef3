"""docs/guides/tasks.md is right: its commands parse, and do what a new user wants, one by one in one folder."""

import ast
import importlib
import importlib.util
import time

import pytest
from task_page import HOW, PAGE, Task, tasks
from workshop import Workshop, made_workshop, parse_as_written  # noqa: F401  # a fixture

TASKS = tasks()
COMMANDS = [(task.number, line) for task in TASKS if task.language == "bash" for line in task.lines]
NAMED = [f"{number}-{line[11:40]}" for number, line in COMMANDS]
SAID = {
    1: "trained",
    2: "group_size",
    3: "model.optimiser.learning_rate",
    4: "complete",
    6: "data.html",
    7: "text 1",
    8: "accepted",
    9: "trained",
    10: "GiB",
    11: "shala",
    12: "all of them, test",
    13: "best by validation",
    14: "runs/patient",
    17: "trained",
    18: "js_div_bits",
    19: "report/report.html",
    20: "probe",
    21: "iemocap, all splits",
    22: "temperature",
    23: "read",
    24: "kl-s0",
    25: "answers.csv",
    27: "me/x",
    28: "anger",
    29: "checks passed",
    30: "(goes on)",
}
"""Something that must stand in what a task prints."""


def test_the_page_has_thirty_tasks_that_are_short_and_the_readme_names_it() -> None:
    assert [task.number for task in TASKS] == list(range(1, 31))
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("```") == 60 and text.count("\n**") == 30, "a block without its wish, outcome or number"
    for task in TASKS:
        assert task.wish.startswith(("I want to ", "I want ", "My ")) and task.how in HOW
        assert len(task.lines) <= (6 if task.language == "python" else 2), task.wish
    assert "(docs/guides/tasks.md)" in (PAGE.parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("line", [line for _, line in COMMANDS], ids=NAMED)
def test_every_command_parses_as_the_page_has_it(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse_as_written(line, monkeypatch)


@pytest.mark.parametrize("task", [task for task in TASKS if task.language == "python"], ids=lambda t: t.wish)
def test_python_imports_what_there_is(task: Task) -> None:
    for node in ast.walk(ast.parse(task.block)):
        if isinstance(node, ast.ImportFrom):
            assert all(hasattr(importlib.import_module(str(node.module)), one.name) for one in node.names)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_task_does_what_it_says(workshop: Workshop, capsys: pytest.CaptureFixture[str]) -> None:
    wrong: dict[str, str] = {}
    seconds: dict[int, float] = {}
    for task in TASKS:
        start = time.perf_counter()
        try:
            workshop.run(task)
            said = capsys.readouterr()
            if task.how == "exit 2":
                assert said.err.count("\n") == 1 and "votes.csv:9: " in said.err and "three" in said.err, (
                    said.err
                )
            assert SAID.get(task.number, "") in said.out + said.err, f"not said: {SAID[task.number]}"
        except (Exception, SystemExit) as error:
            said = capsys.readouterr()
            wrong[f"{task.number}. {task.wish}"] = f"{error!r}\n{said.out[-1500:]}{said.err[-800:]}"
        seconds[task.number] = time.perf_counter() - start
    print(
        "".join(f"\n{task.number:>3} {seconds[task.number]:6.1f} s  {task.wish}" for task in TASKS)
    )  # pytest -rP
    assert not wrong, "\n".join(f"{wish}: {why}" for wish, why in wrong.items())
