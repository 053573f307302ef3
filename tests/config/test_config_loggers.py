"""`fit --logger`: names, mistakes in one line, and no effect on a run's identity."""

import pytest

from lalm_ambig.config.cli import parse
from lalm_ambig.config.loggers import logger_names
from lalm_ambig.core.errors import InputError
from lalm_ambig.runs import logs, wandb_log
from lalm_ambig.runs.logs import check_loggers


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["--logger", "none"], ()),
        (["--logger", "csv"], ()),
        (["--logger=wandb"], ("wandb",)),
        (["--logger", "wandb", "tensorboard"], ("wandb", "tensorboard")),
        (["--logger", "wandb", "--logger", "TensorBoard"], ("wandb", "tensorboard")),
        (["--logger", "wandb,csv,wandb"], ("wandb",)),
    ],
)
def test_loggers_are_an_option_of_a_call(words: list[str], expected: tuple[str, ...] | None) -> None:
    cli = parse(words)
    assert cli.loggers == expected
    assert cli.identity() == parse([]).identity() and "\nlogger:" not in cli.resolved()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["wnadb"], "got 'wnadb': did you mean wandb?"),
        (["csv,"], "got ''"),
        (["mlflow"], "expected tensorboard or wandb or csv or none, got 'mlflow'"),
        (["none", "wandb"], "none stands beside wandb"),
    ],
)
def test_a_mistake_is_one_line(given: list[str], expected: str) -> None:
    with pytest.raises(InputError) as raised:
        logger_names(given)
    assert expected in str(raised.value) and "\n" not in str(raised.value)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (logs, wandb_log):
        monkeypatch.setattr(module, "find_spec", lambda _: None)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(
            InputError, match=rf"--logger {name}: .*not installed\. Run: .*pip install .*\[{name}\]"
        ):
            check_loggers([name], [])
    check_loggers([], [])
    check_loggers(None, [])
