"""The examples in docstrings give what they say, and the public mathematics has one for each function."""

import doctest
import importlib
import inspect
from types import ModuleType

import pytest

import data_curation
import data_curation.acoustic
import data_curation.chat
import lalm_ambig.baselines
import lalm_ambig.config
import lalm_ambig.core
import lalm_ambig.distributions
import lalm_ambig.exporting
import lalm_ambig.files
import lalm_ambig.metrics
import lalm_ambig.objectives
import lalm_ambig.rewards
import lalm_ambig.tabular
from lalm_ambig.core import distributions
from lalm_ambig.core.discovery import module_names, module_of

ROOMS = (
    lalm_ambig.baselines,
    lalm_ambig.config,
    lalm_ambig.core,
    lalm_ambig.exporting,
    lalm_ambig.files,
    lalm_ambig.metrics,
    lalm_ambig.objectives,
    lalm_ambig.rewards,
    lalm_ambig.tabular,
    data_curation,
    data_curation.acoustic,
    data_curation.chat,
)
PATHS = [f"{room.__name__}.{name}" for room in ROOMS for name in module_names(room)]
PUBLIC = [
    name
    for name, value in vars(distributions).items()
    if inspect.isfunction(value) and value.__module__ == distributions.__name__ and not name.startswith("_")
]


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(module) if test.examples]


@pytest.mark.parametrize("path", PATHS)
def test_the_examples_of_a_module_give_what_they_say(path: str) -> None:
    room, _, name = path.rpartition(".")
    module = module_of(importlib.import_module(room), name)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in examples_of(module):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_of_the_mathematics_has_an_example_and_says_what_it_returns(name: str) -> None:
    names = [test.name.rpartition(".")[2] for test in examples_of(distributions)]
    assert name in names
    text = inspect.getdoc(getattr(distributions, name)) or ""
    assert "Args:" in text and ("Returns:" in text or "Raises:" in text)


def test_the_public_door_offers_all_of_the_mathematics() -> None:
    constants = {name for name in vars(distributions) if name.isupper()}
    assert set(lalm_ambig.distributions.__all__) == {*PUBLIC, *constants}
    assert lalm_ambig.distributions.js_divergence is distributions.js_divergence
