"""No configuration runs code of somebody else's, none of a user's is refused, and the planted code would have run."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from honest_configurations import honest
from hostile_configurations import DELIVERIES, PLACES, attempt_of, drawn, means_code
from jsonargparse import set_parsing_settings
from planted import FORMS, Attempt

from lalm_ambig.config import cli
from lalm_ambig.config import trust as configuration_trust
from lalm_ambig.config.trust import Trust
from lalm_ambig.core.errors import InputError

SEED = 0
QUICK = [("mapping", place, "file") for place in ("policy", "callbacks", "function")]


@pytest.fixture(autouse=True)
def no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the texts of --help, which take a third of the time and decide nothing."""
    set_parsing_settings(docstring_parse_attribute_docstrings=False)
    monkeypatch.setattr(cli, "set_parsing_settings", lambda **_given: None)


@contextmanager
def tried(attempt: Attempt) -> Iterator[tuple[bool, str]]:
    """Whether planted code has run once the configuration was parsed and written out, and what was said."""
    attempt.folder.mkdir(parents=True)
    before, here = {*sys.modules}, Path.cwd()
    sys.path.insert(0, str(attempt.folder))
    os.chdir(attempt.folder)
    try:
        with attempt.planted() as mark:
            try:
                cli.parse(attempt.arguments).resolved()
                said = ""
            except InputError as error:
                said = str(error)
            yield mark.exists(), said
    finally:
        os.chdir(here)
        sys.path.remove(str(attempt.folder))
        for name in {*sys.modules} - before:
            if name.partition(".")[0] == attempt.name.partition(".")[0]:
                del sys.modules[name]


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library alone."""

    @contextmanager
    def nothing(self: Trust) -> Iterator[None]:
        token = configuration_trust._current.set(self)
        yield
        configuration_trust._current.reset(token)

    monkeypatch.setattr(Trust, "__call__", nothing)
    monkeypatch.setattr(cli, "check_addresses", lambda _config: None)


def refuse_all(folder: Path, count: int) -> None:
    for number in range(count):
        attempt = drawn(folder / str(number), number, SEED)
        with tried(attempt) as (ran, said):
            assert not ran, attempt.kinds
            if attempt.kinds[2] != "variable":  # which sets nothing
                named = "Thing is not under lalm_ambig., lightning., torch." in said
                # Of a file given for a part, the parser tells of the last way it has tried to read it.
                assert named or (attempt.kinds[2] == "option of a part" and "expected a path" in said), said
            assert "\n" not in said


def accept_all(folder: Path, count: int) -> None:
    for number in range(count):
        attempt = honest(folder / str(number), number, SEED)
        with tried(attempt) as (ran, said):
            assert not ran, (attempt.kinds, attempt.files)
            assert said == "", (attempt.kinds, attempt.files)


def test_a_few_hostile_configurations_run_no_code(tmp_path: Path) -> None:
    refuse_all(tmp_path, 3)


def test_a_few_honest_configurations_are_taken(tmp_path: Path) -> None:
    accept_all(tmp_path, 2)


@pytest.mark.slow
def test_a_hundred_hostile_configurations_run_no_code(tmp_path: Path) -> None:
    refuse_all(tmp_path, 100)


@pytest.mark.slow
def test_fifty_honest_configurations_are_taken(tmp_path: Path) -> None:
    accept_all(tmp_path, 50)


@pytest.mark.long
def test_two_thousand_hostile_configurations_run_no_code(tmp_path: Path) -> None:
    refuse_all(tmp_path, 2_000)


@pytest.mark.long
def test_five_hundred_honest_configurations_are_taken(tmp_path: Path) -> None:
    accept_all(tmp_path, 500)


def runs(folder: Path, kinds: tuple[str, str, str]) -> None:
    """The planted code runs by this combination; in the folder of its own."""
    with tried(attempt_of(folder / "_".join(kinds), f"planted{abs(hash(kinds))}", *kinds)) as (ran, said):
        assert ran, (kinds, said)


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("kinds", QUICK, ids=str)
def test_the_planted_code_would_run(tmp_path: Path, kinds: tuple[str, str, str]) -> None:
    runs(tmp_path, kinds)


@pytest.mark.slow
@pytest.mark.usefixtures("unguarded")
def test_the_planted_code_would_run_by_each_form_place_and_delivery(tmp_path: Path) -> None:
    for form in FORMS:
        runs(tmp_path, (form, "policy", "file"))
    for place in PLACES:
        for form in ("mapping", "text"):
            if means_code(form, place) and (form, place) != ("mapping", "policy"):
                runs(tmp_path / "places", (form, place, "file"))
    for delivery in DELIVERIES:
        runs(tmp_path / "deliveries", ("mapping", "callbacks", delivery))


@pytest.mark.long
@pytest.mark.usefixtures("unguarded")
def test_the_planted_code_would_run_by_each_of_two_thousand(tmp_path: Path) -> None:
    for number in range(2_000):
        attempt = drawn(tmp_path / str(number), number, SEED)
        with tried(attempt) as (ran, said):
            assert ran, (attempt.kinds, said)


@pytest.mark.slow
def test_any_class_is_imported_where_the_user_says_so(tmp_path: Path) -> None:
    for form in FORMS:
        attempt = attempt_of(tmp_path / form, f"planted{abs(hash(form))}", form, "policy", "file")
        attempt.arguments.append("--allow-any-class")
        with tried(attempt) as (ran, said):
            assert ran, (form, said)
