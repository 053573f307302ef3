"""A library's message about settings is told from a defect of ours by the place where it was raised."""

from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lalm_ambig.core import installation
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.core.library_errors import misuse, over_settings

Code = Callable[[str, str], object]


@pytest.fixture
def error_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exception]:
    """The error of a chain of calls, each from another file; `ours` is a module of the project."""
    monkeypatch.setattr(installation, "OURS", (str(tmp_path / "lalm_ambig"),))
    places = {
        "ours": tmp_path / "lalm_ambig" / "m.py",
        "parser": tmp_path / "site-packages" / "jsonargparse" / "_core.py",
        "trainer": tmp_path / "site-packages" / "lightning" / "pytorch" / "trainer" / "trainer.py",
        "torch": tmp_path / "site-packages" / "torch" / "nn.py",
    }

    def make(error: Exception, *chain: str) -> Exception:
        def fail() -> object:
            raise error

        call: Callable[[], object] = fail
        for place in reversed(chain):
            names: dict[str, object] = {"inner": call}
            last = place == chain[-1] and call is fail
            body = "raise error" if last else "inner()"
            exec(
                compile(f"def go():\n    {body}", str(places[place]), "exec"), names | {"error": error}, names
            )
            names["error"] = error
            function = names["go"]
            assert callable(function)
            function.__globals__.update(names)
            call = function
        with pytest.raises(type(error)) as raised:
            call()
        return raised.value

    return make


@pytest.mark.parametrize(
    ("error", "chain", "expected"),
    [
        (ValueError("bad value"), ("ours", "parser", "trainer"), "bad value."),
        (TypeError("no such thing"), ("ours", "parser"), "no such thing."),
        (ValueError("bad value"), ("ours", "parser", "ours", "torch"), None),
        (ValueError("bad value"), ("ours", "parser", "ours"), None),
        (ValueError("bad value"), ("ours",), None),
        (OSError("disk"), ("ours", "parser"), None),
        (MisconfigurationException("gpu?\nmore"), ("ours", "parser", "ours"), "gpu?"),
    ],
)
def test_an_object_that_the_parser_makes_is_about_settings(
    error_of: Callable[..., Exception], error: Exception, chain: tuple[str, ...], expected: str | None
) -> None:
    assert over_settings(error_of(error, *chain)) == expected


@pytest.mark.parametrize(
    ("error", "chain", "expected"),
    [
        (
            ValueError("`val_check_interval` is too large"),
            ("ours", "trainer"),
            "`val_check_interval` is too large.",
        ),
        (RuntimeError("only on GPUs"), ("ours", "trainer", "trainer"), "only on GPUs."),
        (RuntimeError("shapes"), ("ours", "trainer", "torch"), None),
        (ValueError("ours"), ("ours", "trainer", "ours"), None),
        (RuntimeError("of a step"), ("ours", "trainer", "ours", "torch"), None),
        (KeyError("key"), ("ours", "trainer"), None),
    ],
)
def test_what_lightning_raises_itself_is_about_settings(
    error_of: Callable[..., Exception], error: Exception, chain: tuple[str, ...], expected: str | None
) -> None:
    assert misuse(error_of(error, *chain)) == expected


def test_a_command_tells_misuse_in_one_line_and_keeps_the_traceback_of_a_defect(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def misused() -> int:
        raise MisconfigurationException("No supported gpu backend found!\nsecond line")

    with pytest.raises(SystemExit) as left:
        run_command(misused)
    assert left.value.code == 2
    assert capsys.readouterr().err == "error: Lightning: No supported gpu backend found!\n"

    def broken() -> int:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        run_command(broken)


@pytest.mark.parametrize(
    ("what", "remedy", "expected"),
    [
        (
            "no such file: a.yaml",
            "The project's own are here.",
            "no such file: a.yaml. The project's own are here.",
        ),
        ("no adapter yet.", "Run fit again.", "no adapter yet. Run fit again."),
        ("nothing to write:", "give --merged.", "nothing to write: give --merged."),
        ("unknown key", "(--help lists every key)", "unknown key (--help lists every key)"),
        ("two\nlines ", "", "two lines"),
    ],
)
def test_a_mistake_is_one_line_of_whole_sentences(what: str, remedy: str, expected: str) -> None:
    assert str(InputError(what, remedy=remedy)) == expected
    assert str(InputError(what, where="here", remedy=remedy)) == f"here: {expected}"
