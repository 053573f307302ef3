"""Corpora that cannot be split: told before anything is loaded, with a reason and a remedy that works."""

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lalm_ambig import baseline, describe, evaluate, fit
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.corpora.preparing.split_check import check_splits, check_splits_at_hand
from lalm_ambig.policies.tiny import Tiny

TINY = "configs/policy/tiny.yaml"
CONFIGURED = [
    f"--config={name}" for name in (TINY, "configs/data/jsonl.yaml", "configs/method/sft_kl_only.yaml")
]


@pytest.fixture(autouse=True)
def nothing_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_: Tiny) -> None:
        pytest.fail("a policy was loaded")

    monkeypatch.setattr(Tiny, "load", load)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def corpus(path: Path, items: int = 12, speakers: int = 0) -> Path:
    """Rows with so many speakers."""
    rows: list[dict[str, Any]] = []
    for n in range(items):
        row: dict[str, Any] = {
            "id": f"i{n}",
            "text": f"Text {n}.",
            "votes": {"anger": 1 + n % 3, "sadness": 2},
        }
        row |= {"speaker": f"s{n % speakers}"} if speakers else {}
        rows.append(row)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def given(path: Path, *names: str) -> Path:
    rows = [json.loads(line) for line in corpus(path).read_text().splitlines()]
    for n, row in enumerate(rows):
        row["split"] = names[n % len(names)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refusal(path: Path, needed: Any = SPLITS, **options: Any) -> str:
    """What is said of the corpus; empty where nothing is."""
    opened = open_corpus("jsonl", path, **options)
    try:
        check_splits(opened, prepare(opened, quiet=True).counts(), needed)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("speakers", "who"), [(1, "1 speaker, split by seed 0, is"), (2, "2 speakers, split by seed 0, are")]
)
def test_one_or_two_speakers_cannot_be_split(tmp_path: Path, speakers: int, who: str) -> None:
    said = refusal(corpus(tmp_path / "c.jsonl", speakers=speakers))
    assert said.startswith(
        "corpus jsonl: splits validation and test have no items (train 12, validation 0, test 0): "
    )
    assert f"{who} too few for all three." in said
    assert 'Give each row a "split" (train, validation, test)' in said and 'leave "speaker" out' in said
    assert refusal(given(tmp_path / "given.jsonl", "train", "validation", "test")) == ""
    assert refusal(corpus(tmp_path / "without.jsonl")) == ""


@pytest.mark.parametrize("speakers", range(3, 12))
def test_three_speakers_and_more_are_split_into_all_three(tmp_path: Path, speakers: int) -> None:
    assert refusal(corpus(tmp_path / "c.jsonl", speakers=speakers)) == ""


def test_two_items_are_too_few_and_leaving_speakers_out_is_no_remedy(tmp_path: Path) -> None:
    said = refusal(corpus(tmp_path / "c.jsonl", items=2, speakers=2))
    assert "2 speakers, split by seed 0, are too few" in said and 'speaker" out' not in said


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("train", "validation"), "split test has"),
        (("train", "test"), "split validation has"),
        (("validation", "test"), "split train has"),
        (("test",), "splits train and validation have"),
    ],
)
def test_a_given_split_needs_all_three_for_training(
    tmp_path: Path, names: tuple[str, ...], what: str
) -> None:
    path = given(tmp_path / "c.jsonl", *names)
    said = refusal(path)
    assert f"corpus jsonl: {what} no items" in said and "its file says itself which item is in which." in said
    assert 'Give each row a "split"' in said
    for portion in names:
        assert refusal(path, (portion,)) == ""
    assert refusal(path, ("all",)) == ""


def test_a_fold_that_stays_empty_names_one_that_does_not(tmp_path: Path) -> None:
    path = corpus(tmp_path / "c.jsonl", speakers=4)
    said = refusal(path, fold=4)
    assert "4 speakers, split by fold 4 of 5, are too few" in said and "take no fold." in said
    assert refusal(path) == ""


def test_a_seed_that_helps_is_found_where_only_some_speakers_are_there(crema_d_root: Path) -> None:
    opened = open_corpus("crema_d", crema_d_root)
    with pytest.raises(InputError, match=r"corpus crema_d: .* Take seed (\d+)\.$") as met:
        check_splits(opened, prepare(opened, quiet=True).counts())
    seed = int(str(met.value).removesuffix(".").rpartition(" ")[2])
    again = open_corpus("crema_d", crema_d_root, seed=seed)
    check_splits(again, prepare(again, quiet=True).counts())


def test_what_the_check_of_the_sound_left_out_is_called_so(tmp_path: Path) -> None:
    opened = open_corpus("jsonl", given(tmp_path / "c.jsonl", "train", "validation", "test"))
    with pytest.raises(InputError, match=r"split test has no items .*: the check has left all 4 out"):
        check_splits(opened, {"train": 4, "validation": 4, "test": 0})


def test_labels_that_are_not_at_hand_are_not_missed(tmp_path: Path) -> None:
    check_splits_at_hand(open_corpus("jsonl", tmp_path / "nowhere.jsonl"))
    (tmp_path / "bad.jsonl").write_text("{oops\n")
    check_splits_at_hand(open_corpus("jsonl", tmp_path / "bad.jsonl"))


def test_training_and_its_estimate_fail_before_anything_is_loaded(tmp_path: Path) -> None:
    path = corpus(tmp_path / "c.jsonl", speakers=2)
    words = [*CONFIGURED, f"--data.corpus.root={path}", f"--run.root={tmp_path / 'runs'}"]
    for more in ([], ["--estimate"]):
        with pytest.raises(InputError, match="2 speakers, split by seed 0"):
            fit.run_all([*words, *more], Console())
    corpus(path, speakers=4)
    with pytest.raises(InputError, match="fold 4 of 5"):
        fit.run_all([*words, "--folds", "all"], Console())


def test_evaluation_and_baselines_fail_before_anything_is_loaded(tmp_path: Path) -> None:
    path, out = corpus(tmp_path / "c.jsonl", speakers=1), str(tmp_path / "out")
    asked = ["--corpus", "jsonl", "--root", str(path), "--out", out]
    with pytest.raises(InputError, match=r"1 speaker, .* or evaluate on --split all"):
        evaluate.main(["--policy", TINY, *asked])
    with pytest.raises(InputError, match="1 speaker, "):
        baseline.main(["uniform", *asked])
    given(path, "train", "validation")
    with pytest.raises(InputError, match=r"split test has no items .* --split train or --split validation"):
        baseline.main(["uniform", *asked])
    assert baseline.main(["uniform", *asked, "--split", "validation"]) == 0


def test_describe_shows_the_numbers_and_then_says_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--corpus", "jsonl", "--root"]
    assert describe.main([*words, str(corpus(tmp_path / "c.jsonl", speakers=2))]) == 2
    shown = capsys.readouterr()
    assert "Majority class" in shown.out
    assert shown.err.splitlines()[-1].startswith(
        "error: corpus jsonl: splits validation and test have no items"
    )
    assert describe.main([*words, str(given(tmp_path / "d.jsonl", "test"))]) == 0  # to evaluate on
    assert describe.main([*words, str(given(tmp_path / "e.jsonl", "train"))]) == 2
    assert describe.main([*words, str(corpus(tmp_path / "f.jsonl", speakers=3))]) == 0


def test_a_drawn_split_with_a_hole_is_no_split_to_test_on_either(tmp_path: Path) -> None:
    path = corpus(tmp_path / "c.jsonl", speakers=2)
    assert "split validation has no items (train 6, validation 0, test 6)" in refusal(path, ("test",), fold=0)
    assert refusal(path, ("all",), fold=0) == ""
