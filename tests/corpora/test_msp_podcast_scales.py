"""MSP-Podcast's arousal, valence and dominance as ordered targets: numbers by hand, every layout, mistakes."""

import json
from pathlib import Path
from typing import Any

import pytest
from layouts.msp_podcast import (
    LAYOUTS,
    TURNS,
    worker,
    write,
    write_consensus,
    write_csv,
    write_sound,
    write_votes,
)
from msp_podcast_reading import read, told

from lalm_ambig.config.identity import identity_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import SCALE_METRICS, SHALA_METRICS
from lalm_ambig.corpora.emotale.ratings import classes_of
from lalm_ambig.corpora.msp_podcast.corpus import MspPodcast
from lalm_ambig.corpora.msp_podcast.scales import SCALES, STEP_WORDS, rating_field
from lalm_ambig.data.encoding import Elicitation, prompt_template
from lalm_ambig.evaluation.cross_domain import check_mapping
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.prompts import load_glosses
from lalm_ambig.readouts.logits import answer_tokens

TURN = "MSP-PODCAST_0001_0019"
LONGER = "MSP-PODCAST_0001_0008"
BY_HAND = {"arousal": (1, 1, 4, 5), "valence": (3, 3, 0, 2), "dominance": (2, 2, 6, 0)}
"""Positions of the ratings of raters 1, 2, 4 and 5; the third has none."""
HEADER = ["FileName", "WorkerID", "EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "MSP-Podcast")


def rated(root: Path, ratings: list[str], *, header: list[str] = HEADER, turns: int = 1) -> Path:
    """Turns of the columns layout, each with these ratings of arousal."""
    names = [TURN, *list(TURNS)[5:]][:turns]
    rows = [
        [f"{name}.wav", worker(n), "Sad", "", rating, "4", "3"][: len(header)]
        for name in names
        for n, rating in enumerate(ratings)
    ]
    (root / "Labels").mkdir(parents=True, exist_ok=True)
    write_csv(root / "Labels" / "labels_detailed.csv", header, rows)
    for name in names:
        write_sound(root / "Audios" / f"{name}.wav", 0)
    return root


@pytest.mark.parametrize("labels", [*LAYOUTS, "columns"])
@pytest.mark.parametrize("target", SCALES)
def test_the_ratings_are_the_votes_in_every_layout(root: Path, target: str, labels: str) -> None:
    if labels == "columns":
        write_votes(root, labels)
    option: dict[str, Any] = {"target": target, "labels": "csv" if labels == "columns" else labels}
    items = read(root, **option)
    assert set(items) == set(TURNS), "a scale leaves no turn out for its emotions"
    item = items[TURN]
    assert item.annotations == BY_HAND[target]
    assert item.annotators == tuple(worker(n) for n in (1, 2, 4, 5))
    assert item.votes == tuple(float(BY_HAND[target].count(step)) for step in range(7))
    said = told(root, **option)
    assert f"14 ratings of {target} are missing: these raters do not count" in said
    assert "another mean" not in said and "Calmness" not in said and "something other" not in said


def test_the_steps_are_ordered_classes_with_words_of_their_own(root: Path) -> None:
    policy = Tiny()
    policy.load()
    for target in SCALES:
        corpus = MspPodcast(root, target=target)
        assert corpus.categories.ordered and corpus.categories.names == ("1", "2", "3", "4", "5", "6", "7")
        assert list(load_glosses(corpus.prompt, 7)) == list(STEP_WORDS)
        assert len(load_glosses(corpus.prompt, 9)) == len(load_glosses(corpus.prompt)) == 9
        assert (corpus.full_name, corpus.table_metrics) == (f"msp_podcast ({target})", SCALE_METRICS)
        answer_tokens(policy.text_ids, corpus.categories)  # refuses words with one first token
        asked = prompt_template(Elicitation(corpus.prompt, False), corpus.categories)
        assert "on a scale of seven steps" in asked and "- seven: very" in asked and "eight" not in asked
        nine = prompt_template(Elicitation(corpus.prompt, False), classes_of(target))
        assert "on a scale of nine steps" in nine and "- nine: " in nine
    assert MspPodcast(root).table_metrics == SHALA_METRICS and MspPodcast(root).prompt == "speech_emotion"


def test_the_same_number_on_another_scale_is_another_class() -> None:
    """Step 5 of 7 is not the highest step of EmoTale, nor is arousal valence."""
    seven = SCALES["arousal"].categories
    for other in (classes_of("arousal"), SCALES["valence"].categories):
        with pytest.raises(InputError):
            check_mapping(other, seven, where="corpus")


def test_emotions_are_what_they_were(root: Path) -> None:
    plain, named = MspPodcast(root), MspPodcast(root, target="emotion")
    assert list(plain.read()) == list(named.read()) and plain.notes() == named.notes()
    assert plain.settings() == named.settings() and "target" not in plain.settings()
    assert MspPodcast(root, target="valence").settings()["target"] == "valence"

    def identity(**init_args: Any) -> str:
        corpus = {"class_path": "MspPodcast", "init_args": {"seed": 0, **init_args}}
        return identity_of({"data": {"corpus": corpus}})

    assert identity(target="emotion") == identity() != identity(target="arousal")


def test_a_mean_that_the_ratings_do_not_have_is_counted_in_both_files(root: Path) -> None:
    for name in ("labels_consensus.csv", "labels_consensus.json"):
        path = root / "Labels" / name
        before = path.read_text(encoding="utf-8-sig")
        wrong = before.replace("N,4.4,", "N,4.5,").replace('"EmoAct": 4.4', '"EmoAct": 4.5')
        assert wrong != before
        path.write_text(wrong)
        said = told(root, target="arousal")
        assert f"1 turns have another mean arousal in {name} than their ratings (the first: {LONGER})" in said
        assert "another" not in told(root, target="valence")
        path.write_text(before.replace("4.4", "").replace('"EmoAct": ,', '"EmoAct": null,'))
        assert "another" not in told(root, target="arousal"), "no mean is nothing to compare with"
        path.unlink()


def test_a_consensus_file_without_means_is_read(root: Path) -> None:
    write_consensus(root)
    path = root / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text(encoding="utf-8-sig").replace("EmoAct", "Arousal"))
    assert len(read(root, target="arousal")) == 14


def test_raters_without_a_rating_do_not_count_and_a_turn_without_any_is_left_out(tmp_path: Path) -> None:
    root = rated(tmp_path, ["7", "", "nan", "1.0"], turns=2)
    path = root / "Labels" / "labels_detailed.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    first, second = lines[1:5], [line.replace(",7,", ",,").replace(",1.0,", ",N/A,") for line in lines[5:]]
    path.write_text("\n".join([lines[0], *first, *second]))
    items = read(root, target="arousal")
    assert set(items) == {TURN} and items[TURN].votes == (1, 0, 0, 0, 0, 0, 1)
    said = told(root, target="arousal")
    assert "1 turns have no rating of arousal: left out" in said
    assert "2 ratings of arousal are missing" in said, (
        "those of the turn that is left out are not counted twice"
    )


@pytest.mark.parametrize(
    ("line", "rating"),
    [
        ("WORKER1; Sad; A:3.0; V:2.0; D:4.0;", "3.0"),
        ("WORKER1; Sad; ; D:4.0; A:3; V:2.0", "3"),
        ("WORKER1; Other-A: b; c; Sad; A:3.0; V:2.0;", "3.0"),
        ("WORKER1; Other-A: 5; V:2.0;", ""),
        ("WORKER1; Sad; Sad; V:2.0; D:4.0;", ""),
        ("WORKER1; Sad; Sad; A:; V:2.0; D:4.0;", ""),
        ("WORKER1; Sad; A:3.0; V:2.0; D:4.0; A:5.0;", "3.0 and 5.0"),
        ("WORKER1; Other-x; A: b; A:3.0;", "b and 3.0"),
    ],
)
def test_the_rating_is_among_the_last_fields(line: str, rating: str) -> None:
    assert rating_field(line, SCALES["arousal"]) == rating


OFF_THE_SCALE = ("0", "8", "2.5", "-3", "seven", "3,0", "1e0", "٣", "3 4", "70")


@pytest.mark.parametrize("value", OFF_THE_SCALE)
def test_a_rating_off_the_scale_is_a_bad_row(tmp_path: Path, value: str) -> None:
    root = rated(tmp_path, ["3", value, "4", "4"])
    with pytest.raises(
        InputError, match=r"labels_detailed.csv:3: .*arousal must be a whole step from 1 to 7"
    ) as bad:
        read(root, target="arousal")
    assert "\n" not in str(bad.value)
    assert read(root, target="arousal", skip_bad_rows=True)[TURN].votes == (0, 0, 1, 2, 0, 0, 0)
    assert read(root, target="valence")[TURN].votes == (0, 0, 0, 4, 0, 0, 0), "another scale is not asked"


@pytest.mark.parametrize("value", [True, [3], {"A": 3}, "2.5", 3.5])
def test_a_json_rating_is_a_number_or_its_text(root: Path, value: Any) -> None:
    path = root / "Labels" / "labels_detailed.json"
    content = json.loads(path.read_text())
    content[f"{TURN}.wav"][worker(1)]["EmoAct"] = value
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"must be a whole step|names no primary|object by worker"):
        read(root, target="arousal", labels="json")
    content[f"{TURN}.wav"][worker(1)]["EmoAct"] = 7
    content[f"{TURN}.wav"][worker(2)]["EmoAct"] = "7.000000"
    path.write_text(json.dumps(content))
    assert read(root, target="arousal", labels="json")[TURN].annotations == (6, 6, 4, 5)


def test_two_ratings_under_one_key_are_none(root: Path) -> None:
    path = root / "Labels" / "labels_detailed.json"
    path.write_text(path.read_text().replace('"EmoAct": 2.0', '"EmoAct": 2.0, "EmoAct": 3.0', 1))
    with pytest.raises(InputError, match=r"got '2\.0 and 3\.0'"):
        read(root, target="arousal", labels="json")


MISTAKES: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "no such target": (
        HEADER,
        {"target": "activation"},
        "target must be one of emotion, arousal, valence, dominance",
    ),
    "a letter": (HEADER, {"target": "A"}, "target must be one of"),
    "other": (
        HEADER,
        {"target": "arousal", "other": "class"},
        "other is about emotions, and the target is arousal",
    ),
    "votes": (HEADER, {"target": "valence", "votes": "primary_and_secondary"}, "Leave the option votes out"),
    "no column": (
        HEADER[:4],
        {"target": "arousal"},
        "'EmoAct', and target is arousal. Leave the option target",
    ),
    "column twice": ([*HEADER[:4], "EmoAct", "EmoAct", "D"], {"target": "arousal"}, "twice"),
    "no ratings": (
        HEADER,
        {"target": "arousal"},
        "no rater has a rating of arousal here, and target is arousal",
    ),
}


@pytest.mark.parametrize(("header", "options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_line(
    tmp_path: Path, header: list[str], options: dict[str, Any], message: str
) -> None:
    root = rated(tmp_path, ["", ""], header=header)
    with pytest.raises(InputError, match=message) as raised:
        read(root, **options)
    assert "\n" not in str(raised.value)


def test_folds_and_the_official_split_hold_for_scales(root: Path) -> None:
    tested = [
        name
        for fold in range(5)
        for name, item in read(root, target="arousal", fold=fold).items()
        if item.split == "test"
    ]
    assert sorted(tested) == sorted(TURNS)
    official = read(root, target="arousal", split="official")
    assert len(official) == 12 and official[TURN].split == "train"


def one_turn(root: Path, raters: list[str]) -> Path:
    """labels.txt with one turn and these lines of raters."""
    (root / "Labels").mkdir(parents=True)
    lines = [f"{TURN}.wav; S; A:3.0; V:3.0; D:3.0;", *raters]
    (root / "Labels" / "labels.txt").write_text("\n".join(lines) + "\n")
    write_sound(root / "Audios" / f"{TURN}.wav", 0)
    return root


@pytest.mark.parametrize(
    "fields", ["a:3; v:4; d:5;", "A : 3; V : 4; D : 5;", "A=3; V=4; D=5", "A:3; V :4; D:5;", "A:3;V:4;D:5;;"]
)
def test_a_rating_may_be_spelt_with_blanks_small_letters_or_an_equals_sign(
    tmp_path: Path, fields: str
) -> None:
    root = one_turn(tmp_path, [f"WORKER01; Sad; Sad; {fields}", "WORKER02; Sad; A:3.0; V:4.0; D:5.0;"])
    for target, place in (("arousal", 2), ("valence", 3), ("dominance", 4)):
        assert read(root, target=target)[TURN].annotations == (place, place)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ("Sad; A:3; V:4; D:5; extra", "V:4"),
        ("Sad; V:4,0; Sad; A:x;", "V:4,0"),
        ("Sad; A:3 V:4 D:5;", "A:3 V:4 D:5"),
        ("Sad; Valence:4;", "Valence:4"),
        ("Sad; Sad, V = 4; D:5;", "Sad, V = 4"),
        ("emoval:4; A:3;", "emoval:4"),
    ],
)
def test_a_rating_in_another_form_or_place_is_no_missing_one(tmp_path: Path, fields: str, named: str) -> None:
    root = one_turn(tmp_path, [f"WORKER01; {fields}", "WORKER02; Sad; A:3.0; V:4.0; D:5.0;"])
    with pytest.raises(
        InputError, match=f"valence must be a field V:… at the end of the line, got '{named}'"
    ):
        read(root, target="valence")


@pytest.mark.parametrize("first", ["WORKER01; Sad; Sad;", "WORKER01; Sad; A:3; V:4; D:5;"])
@pytest.mark.parametrize("second", ["WORKER01; Sad; Sad;", "WORKER01; Sad; A:3; V:4; D:5;"])
def test_a_second_line_of_a_rater_is_a_bad_row_rated_or_not(tmp_path: Path, first: str, second: str) -> None:
    root = one_turn(tmp_path, [first, second, "WORKER02; Sad; A:3; V:4; D:5;"])
    with pytest.raises(InputError, match="second vote of WORKER01"):
        read(root, target="valence")


@pytest.mark.parametrize("value", ["3,0", "13.0", "-1", "abc", "0.5"])
def test_a_mean_that_is_no_number_or_off_the_scale_is_another_mean(root: Path, value: str) -> None:
    path = root / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text(encoding="utf-8-sig").replace("N,4.4,", f'N,"{value}",'))
    assert "1 turns have another mean arousal" in told(root, target="arousal")


@pytest.mark.parametrize("value", ["4.4", "+4.4", "4.40000", "44e-1"])
def test_a_mean_may_be_written_in_several_ways(root: Path, value: str) -> None:
    path = root / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text(encoding="utf-8-sig").replace("N,4.4,", f"N,{value},"))
    assert "another mean" not in told(root, target="arousal")


def test_a_scale_needs_no_emotion(tmp_path: Path) -> None:
    """Neither of a rater, in any layout, nor in the consensus."""
    root = rated(tmp_path / "columns", ["3", "4"])
    table = root / "Labels" / "labels_detailed.csv"
    table.write_text(table.read_text(encoding="utf-8-sig").replace(f"{worker(0)},Sad", f"{worker(0)},"))
    assert read(root, target="arousal")[TURN].annotations == (2, 3)
    line = one_turn(tmp_path / "txt", ["WORKER01; A:3; V:4; D:5;", "WORKER02; ; ; A:3; V:4; D:5;"])
    assert read(line, target="valence")[TURN].annotations == (3, 3)
    with pytest.raises(InputError, match="names no primary emotion"):
        read(line)
    path = root / "Labels" / "labels_detailed.json"
    table.unlink()
    path.write_text(json.dumps({f"{TURN}.wav": {"WORKER01": {"emoval": 4}, "WORKER02": {"EmoVal": 5.0}}}))
    assert read(root, target="valence")[TURN].annotations == (3, 4)
    write_consensus(root, {TURN: TURNS[TURN]})
    consensus = root / "Labels" / "labels_consensus.csv"
    consensus.write_text(consensus.read_text(encoding="utf-8-sig").replace(",A,", ",Angry,"))
    assert len(read(root, target="valence")) == 1


@pytest.mark.parametrize("judged", [5, "Sad", [4.0], None])
def test_a_rater_in_json_is_an_object(root: Path, judged: Any) -> None:
    path = root / "Labels" / "labels_detailed.json"
    content = json.loads(path.read_text())
    content[f"{TURN}.wav"][worker(1)] = judged
    path.write_text(json.dumps(content))
    for target in ("emotion", "valence"):
        with pytest.raises(InputError, match=f"turn {TURN}: expected an object for '{worker(1)}'"):
            read(root, target=target, labels="json")


def test_two_emotions_under_one_key_do_not_lose_a_rating(root: Path) -> None:
    path = root / "Labels" / "labels_detailed.json"
    twice = '"EmoClass_Major": "Neutral", "EmoClass_Major": "Sad",'
    path.write_text(path.read_text().replace('"EmoClass_Major": "Neutral",', twice, 1))
    assert read(root, target="valence", labels="json")[LONGER].annotations[0] == 3
    with pytest.raises(InputError, match="names no primary emotion"):
        read(root, labels="json")
