"""MSP-Podcast with a ninth class and with secondary votes: numbers by hand, every layout, and mistakes in one line."""

from pathlib import Path
from typing import Any

import pytest
from layouts.msp_podcast import (
    LAYOUTS,
    TURNS,
    Turn,
    worker,
    write,
    write_consensus,
    write_csv,
    write_sound,
    write_votes,
)
from msp_podcast_reading import read, told

from lalm_ambig import baseline, describe
from lalm_ambig.config.identity import identity_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import Item
from lalm_ambig.corpora.msp_podcast.corpus import LACKING, MspPodcast
from lalm_ambig.corpora.msp_podcast.secondary import UNREADABLE, secondary_field, secondary_words
from lalm_ambig.corpora.reading.elsewhere import Elsewhere

BOTH = {"votes": "primary_and_secondary"}
NINE = {"other": "class"}
TURN = "MSP-PODCAST_0001_0019"
OUTSIDE = "MSP-PODCAST_0001_0020"
HEADER_2_0 = ["FileName", "WorkerID", "EmoClass_Major", "EmoClass_Second", "EmoAct", "EmoVal", "EmoDom"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "MSP-Podcast")


def release_2_0(root: Path, rows: list[list[str]], *, header: list[str] = HEADER_2_0) -> Path:
    """One turn in the columns of release 2.0, alone in its folder."""
    cells = [[f"{TURN}.wav", worker(n), *row, "2", "4", "3"][: len(header)] for n, row in enumerate(rows)]
    path = root / "Labels" / "labels_detailed.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_csv(path, header, cells)
    write_sound(root / "Audios" / f"{TURN}.wav", 0)
    return root


def by_class(item: Item, **options: Any) -> dict[str, float]:
    names = MspPodcast(Path(), **options).categories.names
    return {name: vote for name, vote in zip(names, item.votes, strict=True) if vote}


@pytest.mark.parametrize("labels", [*LAYOUTS, "columns"])
def test_the_classes_that_a_rater_named_share_one_vote_in_every_layout(root: Path, labels: str) -> None:
    """Raters: Angry; Angry; Angry + Sad; Contempt + Neutral; Contempt + Amused and Happy."""
    if labels == "columns":
        write_votes(root, labels)
    option = {**BOTH, "labels": "csv" if labels == "columns" else labels}
    item = read(root, **option)[TURN]
    assert by_class(item) == {"angry": 2.5, "contempt": 1, "happy": 0.5, "neutral": 0.5, "sad": 0.5}
    assert item.annotations == (0, 0, 0, 1, 1)
    assert item.annotators == tuple(worker(n) for n in range(1, 6))
    nine = read(root, **option, **NINE)[TURN]
    third = 1 / 3
    wanted = {"angry": 2 + third, "contempt": 1, "happy": 0.5, "neutral": 0.5, "sad": third, "other": third}
    assert by_class(nine, **NINE) == pytest.approx(wanted, abs=1e-12)
    assert sum(nine.votes) == pytest.approx(5)


def test_the_ninth_class_has_what_is_no_class_and_leaves_no_turn_out(root: Path) -> None:
    eight, nine = read(root), read(root, **NINE)
    assert set(nine) == set(TURNS) and len(eight) == 11
    assert MspPodcast(root, **NINE).categories.names == (*MspPodcast(root).categories.names, "other")
    assert by_class(nine[OUTSIDE], **NINE) == {"happy": 4, "other": 1}
    assert by_class(nine["MSP-PODCAST_0005_0002"], **NINE) == {"neutral": 4, "other": 1}  # Calmness
    assert nine[OUTSIDE].annotations == (4, 8, 4, 4, 4)
    for name, item in eight.items():
        assert nine[name].votes == (*item.votes, 0.0)
    assert told(root, **NINE).startswith("14 items of 14 turns")


def test_the_default_is_what_it_was(root: Path) -> None:
    plain = MspPodcast(root)
    assert list(MspPodcast(root, other="leave_out", votes="primary").read()) == list(plain.read())
    assert set(plain.settings()) == {
        "corpus", "part", "seed", "fold", "skip_bad_rows", "labels", "split", "allow_outside",
    }  # fmt: skip
    assert plain.full_name == "msp_podcast"
    both = MspPodcast(root, **BOTH, **NINE)
    assert both.settings().items() - plain.settings().items() == {*BOTH.items(), *NINE.items()}
    assert both.full_name == "msp_podcast (nine classes, primary and secondary)"

    def identity(**init_args: Any) -> str:
        corpus = {"class_path": "MspPodcast", "init_args": {"seed": 0, **init_args}}
        return identity_of({"data": {"corpus": corpus}})

    assert identity(other="leave_out", votes="primary") == identity()
    assert len({identity(), identity(**BOTH), identity(**NINE)}) == 3


def test_an_export_says_which_votes_were_meant() -> None:
    facts: dict[str, Any] = {"corpus": "msp_podcast", "classes": ["sad", "other"], "stem": "speech_emotion"}
    assert (Elsewhere(**facts).target_name, Elsewhere(**facts).full_name) == ("primary", "msp_podcast")
    nine = Elsewhere(**facts, target="nine classes, primary")
    assert nine.full_name == "msp_podcast (nine classes, primary)"


def test_release_2_0_is_read_by_its_columns_and_sums_are_exact_in_any_order(tmp_path: Path) -> None:
    rows = [
        ["Happy", "Happy,Amused,Excited"],
        ["Happy", "Neutral,Surprise,Happy"],
        ["Neutral", "Surprise,Concerned"],
        ["Sad", "sad, Fear ,Sad,Depressed"],
        ["Surprise", ""],
        ["Sad", "Angry,Neutral,Fear,Surprise,Happy,Disgust"],
    ]
    item = read(release_2_0(tmp_path, rows), **BOTH)[TURN]
    seventh = 1 / 7
    assert by_class(item) == pytest.approx({
        "happy": 1 + 1 / 3 + seventh, "neutral": 1 / 3 + 0.5 + seventh, "surprise": 1 / 3 + 0.5 + 1 + seventh,
        "sad": 0.5 + seventh, "fear": 0.5 + seventh, "angry": seventh, "disgust": seventh,
    })  # fmt: skip
    assert read(release_2_0(tmp_path, rows[::-1]), **BOTH)[TURN].votes == item.votes
    lines = told(tmp_path, **BOTH)
    assert "share one vote; 4 votes have several classes" in lines
    assert "4 secondary emotions are no class, not counted: 'Depressed' 1, 'Concerned' 1" in lines


def test_the_turn_that_release_2_0_has_no_sound_of_stops_nobody_and_others_still_do(root: Path) -> None:
    (lacking,) = LACKING
    turns = {**TURNS, lacking: Turn(("Sad",) * 5, "Train", "77")}
    for layout in LAYOUTS:
        write_votes(root, layout, turns)
    write_consensus(root, turns)
    assert lacking not in read(root)
    assert f"1 turns have no sound in release 2.0, left out: {lacking}" in told(root)
    write_sound(root / "Audios" / f"{lacking}.wav", 5)
    assert read(root)[lacking].votes[6] == 5
    (root / "Audios" / f"{TURN}.wav").unlink()
    with pytest.raises(InputError, match=rf"labels\.txt:\d+: turn {TURN} has no sound file.*skip_bad_rows"):
        read(root)


@pytest.mark.parametrize(
    ("line", "secondary"),
    [
        ("WORKER1; Sad; Sad,Depressed; A:3; V:2; D:3;", "Sad,Depressed"),
        ("WORKER1;Happy;;A:1.0;V:4.0;D:2.0", ""),
        ("WORKER1; Sad; A:1.0; V:4.0; D:2.0;", ""),
        ("WORKER1; Sad", ""),
        ("WORKER1; Sad; Fear; ; ;", "Fear"),
        ("WORKER1; Sad; Sad,Other-a; b, c; A:1;", "Sad,Other-a; b, c"),
        ("WORKER1; Other-x; Sad; A:1;", "Sad"),
        ("WORKER1; Other-x; y; Sad; A:1;", UNREADABLE),
        ("WORKER1; Other-x; Sad,Other-y; Fear; A:1;", UNREADABLE),
    ],
)
def test_the_list_is_what_stands_between_the_primary_emotion_and_the_attributes(
    line: str, secondary: str
) -> None:
    assert secondary_field(line) == secondary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Sad", ["Sad"]),
        (" Sad , Fear,,Sad", ["Sad", "Fear"]),
        ("Other-hurt, sad", ["Other-hurt, sad"]),
        ("Other-hurt,sad", ["Other-hurt,sad"]),
        ("Other-hurt,Sad", ["Other-hurt", "Sad"]),
        ("Fear,Other-a; b, c,Concerned", ["Fear", "Other-a; b, c", "Concerned"]),
        ("Other-a,Other-b", ["Other-a", "Other-b"]),
    ],
)
def test_words_in_free_text_are_no_words_of_the_list(text: str, words: list[str]) -> None:
    assert secondary_words(text) == words


def test_a_list_that_cannot_be_told_from_free_text_is_counted_and_the_primary_has_the_vote(
    tmp_path: Path,
) -> None:
    lines = [f"{TURN}.wav; O;", "WORKER1; Other-a; b; Sad; A:1;", "WORKER2; Sad; Fear; A:1;"]
    path = release_2_0(tmp_path, []) / "Labels" / "labels.txt"
    path.write_text("\n".join(lines))
    assert by_class(read(tmp_path, **BOTH, **NINE)[TURN], **NINE) == {"other": 1, "sad": 0.5, "fear": 0.5}
    assert "1 lists of secondary emotions cannot be told from free text" in told(tmp_path, **BOTH, **NINE)


WITHOUT = [name for name in HEADER_2_0 if name != "EmoClass_Second"]
MISTAKES: dict[str, tuple[list[list[str]], list[str], dict[str, Any], str]] = {
    "other": ([["Sad", "Sad"]], HEADER_2_0, {"other": "drop"}, r"other must be one of leave_out, class, got 'drop'"),
    "votes": ([["Sad", "Sad"]], HEADER_2_0, {"votes": "all"}, r"votes must be one of primary, primary_and_secondary"),
    "an unknown option": ([["Sad", "Sad"]], HEADER_2_0, {"classes": 9}, r"unknown option 'classes'"),
    "empty lists": ([["Sad", ""], ["Fear", "nan"]], HEADER_2_0, BOTH, r"csv: no rater has secondary emotions here"),
    "no column": ([["Sad", "2"]], WITHOUT, BOTH, r"no rater has secondary emotions .* Leave the option votes out"),
    "no primary": ([["", "Sad"], ["Sad", "Fear"], ["Sad", ""]], HEADER_2_0, BOTH, r"csv:2: '\w+' names no primary"),
    "a fold": ([["Sad", "Sad"]], HEADER_2_0, {"split": "official", "fold": 1, **BOTH}, r"the official split has none"),
    "no primary column": ([["Sad", "Sad"]], [*HEADER_2_0[:2], "Emo", *HEADER_2_0[3:]], BOTH, r"'EmoClass_Major'"),
    "a column twice": ([["Sad", "Sad"]], [*HEADER_2_0[:3], "EmoClass_Major", "D"], BOTH, r"twice"),
}  # fmt: skip


@pytest.mark.parametrize(("rows", "header", "options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_line(
    tmp_path: Path, rows: list[list[str]], header: list[str], options: dict[str, Any], message: str
) -> None:
    release_2_0(tmp_path, rows, header=header)
    with pytest.raises(InputError, match=message) as raised:
        read(tmp_path, **options)
    assert "\n" not in str(raised.value)


def test_what_needs_draws_is_refused_of_shared_votes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    named = ["--corpus", "msp_podcast", "--root", str(root), "--option", "votes=primary_and_secondary"]
    assert describe.main(named) == 0
    assert "Noise floor: not known." in capsys.readouterr().out.replace("\n", " ")
    for name in ("panel", "oracle"):
        with pytest.raises(InputError, match=r"an item has votes .*: shares of votes are no draws"):
            baseline.main([name, *named, "--split", "test", "--out", str(tmp_path / name)])
    assert baseline.main(["uniform", *named, "--split", "test", "--out", str(tmp_path / "out")]) == 0
    assert "brier_mean_unbiased is not known" in (tmp_path / "out" / "metrics.json").read_text()
