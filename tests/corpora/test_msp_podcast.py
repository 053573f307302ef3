"""MSP-Podcast as distributed: items from any of its label files, and what the user is told."""

import json
from pathlib import Path

import pytest
from layouts.msp_podcast import HIDDEN, LAYOUTS, TURNS, Turn, write, write_consensus, write_votes
from msp_podcast_reading import notes, read

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.msp_podcast.corpus import MspPodcast
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.describe import main as describe

OUTSIDE = {"MSP-PODCAST_0001_0020", "MSP-PODCAST_0003_0003", "MSP-PODCAST_0005_0002"}
LABELS_LEFT = ("labels_detailed.csv", "labels_detailed.json")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "MSP-Podcast")


def test_a_turn_becomes_an_item_with_votes_in_class_order_transcript_and_speaker(root: Path) -> None:
    items = read(root)
    assert MspPodcast(root).categories.names == (
        "angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise",
    )  # fmt: skip
    item = items["MSP-PODCAST_0004_0001"]
    assert item.votes == (0, 0, 0, 1, 0, 2, 2, 0)
    assert item.text == "These are the words of 0004_0001."
    assert item.audio == str(root / "Audios" / "MSP-PODCAST_0004_0001.wav")
    assert item.speaker == "31"
    first = items["MSP-PODCAST_0001_0008"]
    assert (first.votes, first.text) == ((0, 0, 0, 0, 1, 3, 2, 0), None)
    assert items["MSP-PODCAST_0002_0005"].speaker is None


def test_a_single_vote_outside_the_classes_leaves_the_turn_out_and_is_counted(root: Path) -> None:
    assert set(read(root)) == set(TURNS) - OUTSIDE
    lines = notes(root)
    assert lines[0] == "11 items of 14 turns (votes from labels.txt, speakers from labels_consensus.csv)"
    assert lines[2].startswith("3 turns have a vote for something other than angry, contempt, ")
    assert lines[3] == "1 votes are a word that is no class, taken as Other: 'Calmness' 1"


@pytest.mark.parametrize("labels", [*LAYOUTS, "columns"])
def test_every_label_file_gives_the_same_items_and_the_note_says_which_was_read(
    root: Path, labels: str
) -> None:
    from_txt = read(root, labels="txt")
    if labels == "columns":
        write_votes(root, labels)
    option = "csv" if labels == "columns" else labels
    assert list(read(root, labels=option).items()) == list(from_txt.items())
    file_name = "labels.txt" if labels == "txt" else f"labels_detailed.{option}"
    assert f"(votes from {file_name}, speakers from labels_consensus.csv)" in notes(root, labels=option)[0]


def test_by_default_the_first_label_file_on_disk_is_read(root: Path) -> None:
    expected = read(root)
    for gone, left in zip(("labels.txt", "labels_detailed.csv"), LABELS_LEFT, strict=True):
        (root / "Labels" / gone).unlink()
        assert f"votes from {left}" in notes(root)[0]
        assert read(root) == expected
    (root / "Labels" / "labels_detailed.json").unlink()
    with pytest.raises(
        InputError,
        match=r"not found: labels\.txt or labels_detailed\.csv or labels_detailed\.json under .*Labels\. MSP-Po",
    ):
        read(root)
    with pytest.raises(InputError, match=r"not found: labels_detailed\.csv under .*MSP-Podcast is lic"):
        read(root, labels="csv")


@pytest.mark.parametrize(
    ("labels", "audio", "consensus"),
    [("labels", "Audio", "labels_concensus.csv"), ("label", "Audios", "labels_consensus.json")],
)
def test_folders_and_files_may_be_spelt_as_in_other_releases(
    root: Path, labels: str, audio: str, consensus: str
) -> None:
    expected = [(item.votes, item.speaker, item.split) for item in read(root).values()]
    (root / "Labels" / "labels_consensus.csv").unlink()
    (root / "Labels" / "labels_consensus.json").unlink()
    older = {
        name: Turn(t.votes, t.part.replace("Development", "Validation"), t.speaker)
        for name, t in TURNS.items()
    }
    write_consensus(root, older, name=consensus)
    (root / "Labels" / "labels.txt").rename(root / "Labels" / "Labels.txt")
    (root / "Labels").rename(root / labels)
    (root / "Audios").rename(root / audio)
    assert [(item.votes, item.speaker, item.split) for item in read(root).values()] == expected
    official = read(root, split="official")
    assert official["MSP-PODCAST_0003_0001"].split == "validation"


def test_numbers_in_the_json_consensus_are_texts_of_speakers(root: Path) -> None:
    (root / "Labels" / "labels_consensus.csv").unlink()
    path = root / "Labels" / "labels_consensus.json"
    whole = json.loads(path.read_text())
    whole[0]["MSP-PODCAST_0001_0008.wav"]["SpkrID"] = 11
    whole[0]["MSP-PODCAST_0001_0019.wav"]["SpkrID"] = None
    path.write_text(json.dumps(whole))
    items = read(root)
    assert items["MSP-PODCAST_0001_0008"].speaker == "11"
    assert items["MSP-PODCAST_0001_0019"].speaker is None


def test_without_a_consensus_file_speakers_are_unknown_and_the_rest_is_the_same(root: Path) -> None:
    expected = [(item.id, item.votes, item.split) for item in read(root).values()]
    for name in ("labels_consensus.csv", "labels_consensus.json"):
        (root / "Labels" / name).unlink()
    assert [(item.id, item.votes, item.split) for item in read(root).values()] == expected
    lines = notes(root)
    assert "speakers from nowhere, as there is no labels_consensus file" in lines[0]
    assert "11 items have no known speaker" in lines


def test_test3_is_sound_without_votes_or_a_row_without_a_label(root: Path) -> None:
    assert "1 sound files are not in labels.txt (as those of Test3): left out" in notes(root)
    with (root / "Labels" / "labels_consensus.csv").open("a") as file:
        file.write(f"{HIDDEN}.wav,,,,,Unknown,Unknown,Test3\n")
    with (root / "Labels" / "labels_detailed.csv").open("a") as file:
        file.write(f"{HIDDEN}.wav,\n")
    for labels in ("txt", "csv"):
        assert HIDDEN not in read(root, labels=labels)
        assert "1 turns of Test3 have no votes: left out" in notes(root, labels=labels)


def test_without_transcripts_items_have_no_text(root: Path) -> None:
    assert "1 items have no transcript" in notes(root)
    (root / "Transcripts").rename(root / "elsewhere")
    assert all(item.text is None for item in read(root).values())
    assert "11 items have no transcript" in notes(root)


def test_votes_that_do_not_lead_to_the_consensus_are_counted_and_stay_the_label(root: Path) -> None:
    expected = read(root)
    path = root / "Labels" / "labels_consensus.csv"
    path.write_text(path.read_text().replace("0001_0008.wav,N,", "0001_0008.wav,S,"))
    assert read(root) == expected
    assert notes(root)[-1] == (
        "1 turns have another consensus than most of their votes (the first: MSP-PODCAST_0001_0008): the votes count"
    )


def test_a_changed_transcript_makes_the_corpus_be_read_again(root: Path, tmp_path: Path) -> None:
    def text() -> str | None:
        prepared = prepare(MspPodcast(root), cache_dir=tmp_path / "cache", quiet=True)
        return next(item.text for item in prepared.items() if item.id == "MSP-PODCAST_0002_0003")

    assert text() == "These are the words of 0002_0003."
    (root / "Transcripts" / "MSP-PODCAST_0002_0003.txt").write_text("Other words.")
    assert text() == "Other words."


def test_describe_prints_the_corpus(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "out.json"
    describe(
        ["--corpus", "msp_podcast", "--root", str(root), "--check-audio", "--fold", "2", "--json", str(out)]
    )
    found = json.loads(out.read_text())
    assert (found["items"], found["left_out"]) == (11, 0)
    assert found["annotators"] == {"min": 5, "median": 5, "max": 6}
    assert found["active_labels"]["1"]["items"] == 1
    assert sum(found["splits"].values()) == 11
    assert min(found["splits"].values()) >= 2
    shown = capsys.readouterr()
    assert "Corpus msp_podcast" in shown.out
    assert "msp_podcast: split: five even folds" in shown.err


def test_unknown_settings_are_refused(root: Path) -> None:
    with pytest.raises(InputError, match=r"labels must be one of auto, txt, csv, json, got 'xml'"):
        MspPodcast(root, labels="xml")
    with pytest.raises(InputError, match=r"split must be one of papers, official, got 'mine'"):
        MspPodcast(root, split="mine")
    with pytest.raises(InputError, match=r"fold 1 was asked for, but the official split has none"):
        MspPodcast(root, split="official", fold=1)
    assert MspPodcast(root).licensed


def test_each_worker_is_named_with_the_class_that_the_worker_chose(root: Path) -> None:
    for layout in LAYOUTS:
        for item in read(root, labels=layout).values():
            chosen = [place for _, place in item.ratings]
            assert tuple(float(chosen.count(place)) for place in range(8)) == item.votes
            assert len(set(item.annotators)) == len(item.annotators) > 0
            assert all(name.startswith("WORKER") for name in item.annotators)
