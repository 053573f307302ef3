"""The notebooks run, define nothing of their own, and are kept without output."""

import ast
import io
import os
import re
import runpy
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.utils.text import DollarFormatter
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHELL = re.compile(r"^(\s*)!.*$", re.MULTILINE)


def code(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [SHELL.sub(r"\1pass", cell.source) for cell in cells if cell.cell_type == "code"]


def test_there_are_four() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_", "4_"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_kept_clean_and_defines_nothing(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.cell_type == "markdown" or (not cell.outputs and cell.execution_count is None)
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
    assert not [
        node for source in code(path) for node in ast.walk(ast.parse(source)) if isinstance(node, defined)
    ]


@pytest.fixture(autouse=True)
def apart(cache_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a notebook writes goes under the test's folders."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


class Shell:
    """Runs a notebook's cells in this process, and the commands behind `!` too: each start of Python costs 8 s."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"get_ipython": lambda: self}
        self.ran: list[str] = []

    def cell(self, source: str) -> None:
        exec(compile(TransformerManager().transform_cell(source), "<cell>", "exec"), self.names)

    def system(self, line: str) -> None:
        """What `!line` stands for, for lines `PYTHON -m MODULE WORDS [> FILE]`; a failure ends the test."""
        words = shlex.split(DollarFormatter().vformat(line, (), self.names))
        python, dash_m, module, *words = words
        assert (python, dash_m) == (sys.executable, "-m")
        kept = words[words.index(">") + 1 :] if ">" in words else []
        words = words[: len(words) - 1 - len(kept)] if kept else words
        out = io.StringIO()
        with (
            mock.patch.object(sys, "argv", [module, *words]),
            redirect_stdout(out),
            redirect_stderr(out),
            pytest.raises(SystemExit) as ended,
        ):
            runpy.run_module(module, run_name="__main__")
        assert not ended.value.code, out.getvalue()
        Path(kept[0] if kept else os.devnull).write_text(out.getvalue())
        print(out.getvalue())
        self.ran.append(module)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matplotlib.use("Agg")
    shell = Shell()
    cells = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    for source in cells:
        shell.cell(source)
    assert len(shell.ran) >= sum(source.count("!{python}") for source in cells)
    assert "error:" not in "".join(capsys.readouterr()).lower()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_runs_in_a_kernel_too(tmp_path: Path) -> None:
    (path,) = (path for path in NOTEBOOKS if path.name[0] == "3")  # the one without commands
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "largest difference under group" in printed
    assert "error:" not in printed.lower(), printed
