"""The suite's type checks leave nothing in the bytecode that other processes read."""

import importlib.util
from pathlib import Path

import jaxtyping._import_hook
import pytest


@pytest.mark.parametrize("run", [False, True])
def test_bytecode_with_checks_has_a_name_of_its_own(
    tmp_path: Path, run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    source = tmp_path / "module_of_a_test.py"
    source.write_text("def double(number: int) -> int:\n    return 2 * number\n")
    finder = jaxtyping._import_hook.Typechecker("beartype.beartype")
    loader = jaxtyping._import_hook._JaxtypingLoader(source.stem, str(source), typechecker=finder)
    spec = importlib.util.spec_from_loader(source.stem, loader)
    assert spec is not None
    if run:  # what runpy does: the name is not marked
        loader.get_code(source.stem)
    else:
        loader.exec_module(importlib.util.module_from_spec(spec))
    written = [path.name for path in tmp_path.rglob("*.pyc")]
    assert ["jaxtyping" in name for name in written] == ([] if run else [True]), written
