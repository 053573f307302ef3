"""The notebooks run, define nothing of their own, and are kept with what they print (`make notebooks`)."""

import ast
import re
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

import lalm_ambig

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SHELL = re.compile(r"^(\s*)[!%].*$", re.MULTILINE)


def code(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [SHELL.sub(r"\1pass", cell.source) for cell in cells if cell.cell_type == "code"]


def test_there_are_three() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_defines_nothing_and_is_kept_with_clean_outputs(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run `make notebooks`"
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs), "a notebook shows a figure"
    assert not [output for output in outputs if output.output_type == "error"]
    said = "".join(
        output.get("text", "") + str(output.get("data", {}).get("text/html")) for output in outputs
    )
    assert "Warning" not in said and "/home" not in said and "/tmp" not in said and "/root" not in said
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
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
    """Runs a notebook's cells in this process: each start of Python costs 8 s."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"get_ipython": lambda: self}

    def cell(self, source: str) -> None:
        exec(compile(TransformerManager().transform_cell(source), "<cell>", "exec"), self.names)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    matplotlib.use("Agg")
    train = lalm_ambig.train

    def shorter(*given: Any, **named: Any) -> Any:
        return train(*given, **{**named, "data.limit": 40, "trainer.max_epochs": 1})

    monkeypatch.setattr(lalm_ambig, "train", shorter, raising=False)
    shell = Shell()
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            shell.cell(cell.source)
    assert "error:" not in "".join(capsys.readouterr()).lower()
