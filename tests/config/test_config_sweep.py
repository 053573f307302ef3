"""`fit --sweep`: its members, and mistakes in one line before anything is trained."""

import pytest

from lalm_ambig import fit
from lalm_ambig.config.cli import parse
from lalm_ambig.config.family import members
from lalm_ambig.config.sweep import axes_of, points, suffix_of
from lalm_ambig.core.errors import InputError

RATE = "model.optimiser.learning_rate"


def test_a_sweep_is_an_option_of_a_call() -> None:
    cli = parse(["--sweep", f"{RATE}=1e-4,3e-4"])
    assert [axis.values for axis in cli.sweep or ()] == [("1e-4", "3e-4")]
    assert cli.identity() == parse([]).identity() and "sweep" not in cli.resolved()
    assert parse([]).sweep is None


def test_every_combination_is_run_with_every_seed() -> None:
    words = ["--sweep", f"{RATE}=1e-4,3e-4", "data.batch_size=2,4", "--seeds", "0", "1", "--test"]
    family = members(parse(words), words)
    assert len(family) == 8
    assert [member.point for member in family[::2]] == [
        ("1e-4", "2"),
        ("1e-4", "4"),
        ("3e-4", "2"),
        ("3e-4", "4"),
    ]
    last = family[-1]
    assert (last.title, last.suffix) == (
        "learning_rate 3e-4, batch_size 4, seed 1",
        "-learning_rate=3e-4-batch_size=4-s1",
    )
    cli = parse(last.words)
    assert (cli.model.optimiser.learning_rate, cli.datamodule.batch_size, cli.config["seed"]) == (3e-4, 4, 1)
    assert len({parse(member.words).identity() for member in family}) == 8


def test_the_test_is_looked_at_for_the_chosen_run_alone() -> None:
    cli = parse(["--sweep", f"{RATE}=1e-4,3e-4", "--seeds", "0", "1", "--test"])
    assert not cli.tests and not cli.shows_test
    cli.tests_chosen()
    assert cli.tests and cli.shows_test


def test_values_in_brackets_and_quotes_are_whole() -> None:
    (axis,) = axes_of(["a.b=[1,2],{x: 1, y: 2},'c,d',e"]) or ()
    assert axis.values == ("[1,2]", "{x: 1, y: 2}", "'c,d'", "e")
    assert points([axis]) == [("[1,2]",), ("{x: 1, y: 2}",), ("'c,d'",), ("e",)]
    assert suffix_of([axis], ["configs/../x"]) == "-b=configs_.._x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a"], "expected a key with its values, got 'a'"),
        (["=1"], "expected a key with its values"),
        (["a="], "a value of a is empty"),
        (["a=1,,2"], "a value of a is empty"),
        (["a=1,1"], "a has the value 1 twice"),
        (["a=1", "a=2"], "a stands twice"),
        (["seed=1,2"], "give --seeds 0 1 2"),
        (["data.corpus.fold=1,2"], "give --folds all"),
        (["find-lr=1,2"], "find-lr is no setting of a run"),
    ],
)
def test_a_mistake_is_one_line(given: list[str], expected: str) -> None:
    with pytest.raises(InputError) as raised:
        axes_of(given)
    assert expected in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (f"{RATE}=1e-4,0.0001", "learning_rate 1e-4 and learning_rate 0.0001 are the same run"),
        ("run.samples=1,2", "samples 1 and samples 2 are the same run"),
        (f"{RATE}=1e-4,-1", "learning_rate must be positive"),
        ("model.optimiser.learning_rat=1,2", "did you mean --model.optimiser.learning_rate"),
    ],
)
def test_values_are_checked_before_the_first_run(values: str, expected: str) -> None:
    words = ["--sweep", values]
    with pytest.raises(InputError, match=expected):
        fit.check_starts(members(parse(words), words))
