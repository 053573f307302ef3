"""A package that is missing, too old or broken is named in one line, before anything else is imported."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lalm_ambig
from lalm_ambig.checks.environment import FLOORS
from lalm_ambig.core import installation
from lalm_ambig.core.installation import first_wrong, import_failure, older, required, wrong_python

ROOT = Path(lalm_ambig.__file__).parent.parent


def test_what_is_needed_is_what_the_project_file_says() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert len(required()) == len(declared)
    for line in declared:
        name, _, floor = line.partition(">=")
        assert required()[name.partition("[")[0]] == floor
    for name, numbers in FLOORS.items():
        assert required()[name] == ".".join(map(str, numbers))


def test_a_package_of_an_extra_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    of_tree = installation.extras()
    assert (of_tree["matplotlib"], of_tree["tensorboard"], of_tree["openai"]) == (
        "figures",
        "tensorboard",
        "curation",
    )
    assert installation.install_extra("figures").endswith("[figures]'")
    monkeypatch.setattr(installation, "TREE", tmp_path)
    assert installation.extras() == of_tree
    assert installation.install_extra("figures").endswith("install 'lalm_ambig[figures]'")
    failed = failed_import(tmp_path, monkeypatch, body="", statement="import matplotlib_that_is_missing")
    monkeypatch.setattr(installation, "extras", lambda: {"matplotlib_that_is_missing": "figures"})
    line = import_failure(failed)
    assert line is not None and line.startswith("matplotlib_that_is_missing is not installed. Run: ")
    assert line.endswith("'lalm_ambig[figures]'")


def test_an_installed_package_is_asked_where_there_is_no_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    there = required()
    monkeypatch.setattr(installation, "TREE", Path("/nowhere"))
    names = {name.replace("-", "_") for name in required()}
    assert names == set(there) or not required()  # a tree that was never installed has none


@pytest.mark.parametrize(
    ("version", "floor", "expected"),
    [
        ("2.9.1", "2.10", True),
        ("2.10.0+cpu", "2.10", False),
        ("2.10.0+cu128", "2.10.1", True),
        ("3", "2.10", False),
        ("0.21.0rc1", "0.21", False),
        ("0", "0.21", True),
    ],
)
def test_versions_are_compared_by_their_numbers(version: str, floor: str, expected: bool) -> None:
    assert older(version, floor) is expected


def test_a_missing_or_old_package_is_one_line_with_the_line_of_pip() -> None:
    assert first_wrong(required()) is None
    old = first_wrong({"torch": "99.1", "numpy": "1"})
    assert old is not None
    assert "torch " in old and "lalm_ambig needs torch>=99.1" in old and "-m pip install 'torch>=99.1'" in old
    both = first_wrong({"torch": "99.1", "no_such_package": "3", "numpy": "1"})
    assert both is not None
    assert "1 more packages" in both and f"pip install -e {ROOT}" in both
    assert first_wrong({"torch": "99.1"}, only=("rich",)) is None  # the doctor says the rest itself


def test_an_old_python_is_named_with_its_path() -> None:
    assert wrong_python((3, 11, 0)) is None
    line = wrong_python((3, 9, 18))
    assert (
        line is not None
        and "needs Python 3.11 or newer, and this is 3.9.18" in line
        and sys.executable in line
    )


def failed_import(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, body: str, statement: str
) -> BaseException:
    """The error of a module of ours that imports a library with that body."""
    site, tree = folder / "site-packages", folder / "lalm_ambig"
    for place in (site, tree):
        place.mkdir()
        monkeypatch.syspath_prepend(str(place))
    (site / "brokenlib.py").write_text(body)
    (tree / "of_ours.py").write_text(statement)
    monkeypatch.setattr(installation, "OURS", (str(tree),))
    for name in ("brokenlib", "of_ours"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(Exception) as raised:
        __import__("of_ours")
    return raised.value


@pytest.mark.parametrize(
    ("body", "statement", "expected"),
    [
        (
            "raise OSError('sndfile library not found')",
            "import brokenlib",
            "brokenlib is installed, but cannot be imported: OSError: sndfile",
        ),
        ("raise RuntimeError('built for\\nCUDA 12')", "import brokenlib", "RuntimeError: built for."),
        ("import no_such_part", "from brokenlib import x", "no_such_part is not installed. Run: "),
        (
            "raise OSError('x')",
            "from brokenlib import (\n    a,\n    b,\n)",
            "cannot be imported: OSError: x",
        ),
        ("raise ValueError('a bug of theirs')", "import brokenlib", None),
        ("raise OSError('x')", "def f():\n    __import__('brokenlib')\nf()", None),
        ("", "raise OSError('full disk')", None),
        ("def go(): raise OSError('no such file')", "import brokenlib\nbrokenlib.go()", None),
    ],
)
def test_a_library_that_cannot_be_imported_is_named_and_other_errors_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, statement: str, expected: str | None
) -> None:
    error = failed_import(tmp_path, monkeypatch, body=body, statement=statement)
    line = import_failure(error)
    if expected is None:
        assert line is None
    else:
        assert line is not None and expected in line and "pip install" in line


def test_a_name_that_we_lack_ourselves_keeps_its_traceback() -> None:
    with pytest.raises(ImportError) as raised:
        exec("from lalm_ambig.core.errors import no_such_name")
    assert import_failure(raised.value) is None


def test_a_tree_that_is_not_installed_says_so_before_anything_is_imported(tmp_path: Path) -> None:
    for package in ("lalm_ambig", "data_curation"):
        (tmp_path / package).mkdir()
        for source in [*(ROOT / package).glob("*.py"), *(ROOT / package / "core").glob("*.py")]:
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    project = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(project.replace('"torch>=2.11"', '"torch>=99"'))
    for words in (["lalm_ambig.fit"], ["lalm_ambig.evaluate", "--help"], ["data_curation"]):
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2 and not done.stdout
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: torch ") and "lalm_ambig needs torch>=99" in line


def test_an_older_python_can_read_what_is_read_before_the_check() -> None:
    """Nothing is imported above the check but this one module, which imports none of ours."""
    for name, allowed in (
        ("__init__.py", {"lalm_ambig.core.installation"}),
        ("core/installation.py", set[str]()),
    ):
        tree = ast.parse((ROOT / "lalm_ambig" / name).read_text(), feature_version=(3, 8))
        imports = {node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module}
        imports |= {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        assert {
            module for module in imports if module.partition(".")[0] not in sys.stdlib_module_names
        } == allowed
    assert (
        "from __future__ import annotations" in (ROOT / "lalm_ambig" / "core" / "installation.py").read_text()
    )
