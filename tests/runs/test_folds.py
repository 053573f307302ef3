"""`fit --folds` and `fit --seeds`."""

import re
import sys
from pathlib import Path

import pytest

from lalm_ambig import fit
from lalm_ambig.config.cli import parse
from lalm_ambig.config.family import members, start_of_member
from lalm_ambig.config.run_options import fold_numbers, seed_numbers
from lalm_ambig.core.errors import InputError


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], None), (["--folds", "all"], [0, 1, 2, 3, 4]), (["--folds=3,0,3"], [3, 0]), (["--folds", "2"], [2])],
)
def test_folds_are_an_option_of_the_parser(words: list[str], expected: list[int] | None) -> None:
    cli = parse(words)
    assert cli.folds == expected
    assert cli.identity() == parse([]).identity()
    assert "folds" not in cli.resolved()


@pytest.mark.parametrize("given", ["", "5", "a", "0,,1", "-1"])
def test_others_are_refused(given: str) -> None:
    with pytest.raises(InputError, match="--folds: expected all, or numbers from 0 to 4 with commas"):
        fold_numbers(given)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], None),
        (["--seeds", "0", "1", "2"], [0, 1, 2]),
        (["--seeds=4"], [4]),
        (["--seeds", "2,0,2"], [2, 0]),
    ],
)
def test_seeds_are_an_option_of_the_parser(words: list[str], expected: list[int] | None) -> None:
    cli = parse(words)
    assert cli.seeds == expected
    assert cli.identity() == parse([]).identity()
    assert "seeds" not in cli.resolved()


@pytest.mark.parametrize("given", ["-1", "a", "0,", "1.5", ""])
def test_a_seed_that_is_no_whole_number_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="--seeds: expected whole numbers from 0"):
        seed_numbers([given])


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["--seed", "7", "--seeds", "1", "3"], "--seed"),
        (["--seeds", "1", "--seed=1"], "--seed"),
        (["--folds", "0,2", "--data.corpus.init_args.fold=1"], "--data.corpus.init_args.fold"),
    ],
)
def test_a_seed_or_fold_beside_those_of_the_family_is_refused(words: list[str], where: str) -> None:
    words = ["--preset=demo", *words]
    with pytest.raises(InputError, match=f"^{where}: --(seeds|folds) says it for every run: leave one"):
        members(parse(words), words)


def test_a_family_has_each_fold_with_each_seed_in_a_folder_of_its_own() -> None:
    words = ["--seeds", "1", "3", "--folds", "0,2"]
    family = members(parse(words), words)
    assert [member.suffix for member in family] == ["-s1-fold0", "-s1-fold2", "-s3-fold0", "-s3-fold2"]
    assert family[3].title == "seed 3, fold 2"
    cli = parse(family[3].words)
    assert (cli.config["seed"], cli.datamodule.corpus.fold) == (3, 2)
    assert len({parse(member.words).identity() for member in family}) == 4
    assert members(parse([]), []) == []


def test_a_start_names_the_seed_and_the_fold_of_its_run() -> None:
    words = ["--model.start", "runs/cv-s{seed}-fold{fold}", "--seeds", "3", "--folds", "2"]
    (only,) = members(parse(words), words)
    cli = parse(only.words)
    start_of_member(cli)
    assert cli.model.start == Path("runs/cv-s3-fold2")
    cli = parse(["--model.start", "runs/cv-fold{fold}"])
    with pytest.raises(InputError, match=r"runs/cv-fold\{fold\} has \{fold\}, but this run has no fold"):
        start_of_member(cli)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_each_fold_is_a_run_of_its_own_and_finished_ones_are_left(
    demo_root: Path,
    cache_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    words = [
        f"--data.corpus.root={demo_root}",
        "--data.limit=4",
        "--trainer.max_steps=1",
        "--trainer.logger=false",
    ]
    words += [f"--run.root={tmp_path}", "--run.name=cv", "--trainer.accelerator=cpu"]
    monkeypatch.setattr(sys, "argv", ["fit", *words, "--folds", "1,3"])
    assert fit.main() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cv-fold1", "cv-fold3"]
    assert all((tmp_path / f"cv-fold{n}/results.md").is_file() for n in (1, 3))
    card = (tmp_path / "cv-fold1/adapter/README.md").read_text()
    assert card.startswith("---\nbase_model: ")
    assert "| trained |" in card
    assert "More Information Needed" not in card
    assert str(tmp_path) not in card
    assert "fold: 3" in (tmp_path / "cv-fold3/config.yaml").read_text()
    capsys.readouterr()
    assert fit.main() == 0
    printed = capsys.readouterr().out
    assert printed.count("is finished already") == 2
    assert printed.count("the test comes at the end, for all runs together") == 2
    single = re.compile(r"demo, (\w+) split, \d+ items")
    assert single.findall(" ".join(printed.split())) == ["validation", "validation"]
    captions = re.findall(r"demo, (\w+) split of folds \(items\) 1 \(4\), 3 \(4\)", " ".join(printed.split()))
    assert captions == ["validation", "test"]
    assert " ".join(printed.split()).count("mean ± standard deviation between folds") == 2
