"""`python -m lalm_ambig.describe`: the numbers, their JSON, and errors that leave with 2."""

import json
from pathlib import Path
from typing import Any

import pytest
from ended import ended
from layouts import chaosnli, lewidi

from lalm_ambig.core.errors import InputError
from lalm_ambig.describe import main


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


def described(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    main([*arguments, "--json", str(tmp_path / "out.json")])
    found: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    return found


def own_corpus(tmp_path: Path) -> Path:
    votes = [{"a": 4}, {"a": 2, "b": 2}, {"b": 3, "c": 1}, {"a": 1, "b": 1, "c": 1, "d": 1}, {"d": 3}]
    rows: list[object] = [{"categories": ["b", "a", "c", "d"]}]
    rows += [
        {"id": str(n), "text": "x", "votes": v, "split": "train" if n else "test"}
        for n, v in enumerate(votes)
    ]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_numbers_of_a_corpus_counted_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = described(tmp_path, "--corpus", "jsonl", "--root", str(own_corpus(tmp_path)))
    assert found["items"] == 5
    assert list(found["majority"].items()) == [("b", 3), ("a", 1), ("c", 0), ("d", 1)]
    assert found["annotators"] == {"min": 3, "median": 4, "max": 4}
    assert found["ambiguity_levels"] == {"low": 2, "medium": 2, "high": 1}
    assert found["active_labels"]["2"] == {
        "items": 2,
        "mean_entropy": pytest.approx((0.5 + 0.405639) / 2, abs=1e-5),
    }
    assert found["active_labels"]["3"] == {"items": 0, "mean_entropy": None}
    assert found["active_labels"]["4+"] == {"items": 1, "mean_entropy": 1}
    assert found["splits"] == {"train": 4, "validation": 0, "test": 1}
    assert found["noise_floor"]["disagreement"] == pytest.approx((0 + 2 / 3 + 0.5 + 1 + 0) / 5)
    shown = capsys.readouterr().out
    for text in (
        "Corpus jsonl",
        "Majority class",
        "Ambiguity level",
        "Active labels",
        "Noise floor",
        "panel",
        "oracle",
    ):
        assert text in shown


def test_a_corpus_of_single_votes_has_no_noise_floor_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": n, "text": "x", "votes": {"a": n == "1", "b": n != "1"}} for n in "123"]
    path = tmp_path / "one.jsonl"
    path.write_text("".join(json.dumps(r).replace("true", "1").replace("false", "0") + "\n" for r in rows))
    found = described(tmp_path, "--corpus", "jsonl", "--root", str(path))
    assert found["noise_floor"] is None
    assert "Noise floor: not known." in capsys.readouterr().out


def test_a_text_corpus_says_nothing_of_sound_and_counts_no_more_classes_than_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(chaosnli.write(tmp_path / "small"))
    found = described(tmp_path, "--corpus", "chaosnli", "--root", root, "--part", "mnli", "--check-audio")
    shown = capsys.readouterr().out
    assert "Corpus chaosnli (mnli)" in shown
    assert (found["part"], found["with_sound"], found["with_text"]) == ("mnli", 0, 20)
    assert "left out" not in shown
    assert " h │" not in shown
    counts = {name: row["items"] for name, row in found["active_labels"].items()}
    assert counts == {"1": 4, "2": 12, "3": 4}
    assert "4+" not in shown


def test_items_with_sound_and_with_text_are_counted(jsonl_root: Path, tmp_path: Path) -> None:
    found = described(tmp_path, "--corpus", "jsonl", "--root", str(jsonl_root))
    assert (found["items"], found["with_sound"], found["with_text"], found["part"]) == (20, 10, 20, None)


def test_names_of_classes_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "x", "votes": {"[/b]": 2, "[red]no": 1}}) + "\n")
    main(["--corpus", "jsonl", "--root", str(path)])
    shown = capsys.readouterr().out
    assert "│ [/b]" in shown
    assert "│ [red]no" in shown


def test_bad_rows_that_are_left_out_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own_corpus(tmp_path)
    path.write_text(path.read_text() + "{oops\n")
    arguments = ["--corpus", "jsonl", "--root", str(path)]
    with pytest.raises(InputError, match=r"items.jsonl:7: not JSON.*--option skip_bad_rows=true"):
        main(arguments)
    assert described(tmp_path, *arguments, "--option", "skip_bad_rows=true")["items"] == 5
    listed = capsys.readouterr().err
    assert listed.count("1 bad rows left out (5 kept):") == listed.count("items.jsonl:7: not JSON") == 1


def test_without_check_audio_no_sound_is_opened_and_with_it_damaged_ones_go(
    crema_d_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (crema_d_root / "AudioWAV" / "1001_IEO_NEU_XX.wav").write_bytes(b"")
    arguments = ["--corpus", "crema_d", "--root", str(crema_d_root)]
    assert described(tmp_path, *arguments)["items"] == 4
    assert "left out" not in capsys.readouterr().out
    checked = described(tmp_path, *arguments, "--check-audio")
    assert "left out" in capsys.readouterr().out
    assert (checked["items"], checked["left_out"]) == (3, 1)
    assert checked["audio_s"] == pytest.approx(0.6)


def test_options_seed_and_fold_reach_the_corpus(crema_d_root: Path, tmp_path: Path) -> None:
    arguments = ["--corpus", "crema_d", "--root", str(crema_d_root)]
    assert described(tmp_path, *arguments, "--option", "votes=face")["items"] == 1
    path = crema_d_root / "processedResults" / "tabulatedVotes.csv"
    path.write_text(f"{path.read_text()}100009,0,0,0,0,0,0,1001_TIE_NEU_XX,0\n")
    with pytest.raises(InputError, match=r"clip 1001_TIE_NEU_XX has no votes"):
        described(tmp_path, *arguments)
    assert described(tmp_path, *arguments, "--option", "skip_bad_rows=true")["items"] == 4
    with pytest.raises(InputError, match=r"fold must be 0 to 4, got 9"):
        described(tmp_path, *arguments, "--fold", "9")
    with pytest.raises(InputError, match=r"--option: expected KEY=VALUE, got 'votes'"):
        described(tmp_path, *arguments, "--option", "votes")
    with pytest.raises(InputError, match=r"unknown option 'colour'"):
        described(tmp_path, *arguments, "--option", "colour=red")


def test_unknown_corpora_and_missing_roots_are_named() -> None:
    with pytest.raises(
        InputError, match=r"unknown corpus 'cremad': did you mean crema_d\? Expected one of .*crema_d"
    ):
        main(["--corpus", "cremad"])
    with pytest.raises(InputError, match=r"corpus crema_d: --root is missing"):
        main(["--corpus", "crema_d"])


@pytest.mark.filterwarnings("ignore:.*found in sys.modules.*:RuntimeWarning")  # runpy's
def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = ended("lalm_ambig.describe", "--corpus", "crema_d", "--root", "nowhere")
    assert done.code == 2
    assert done.err.startswith("error: corpus crema_d: not found: ")
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_real_votes_give_the_published_floor(shared_data: Path, tmp_path: Path) -> None:
    found = described(tmp_path, "--corpus", "crema_d", "--root", str(shared_data / "CREMA-D"))
    assert found["items"] == 1200
    assert found["majority"]["neutral"] == 612
    assert found["noise_floor"]["disagreement"] == pytest.approx(0.535, abs=0.005)
    assert found["noise_floor"]["panel"]["js_div_bits"] == pytest.approx(0.135, abs=0.005)


def test_what_a_corpus_holds_twice_is_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = ["It is so.", "it is  SO", "Well?", "Alone.", "Premise: A dog.\nHypothesis: It barks."]
    texts += ["Premise: a dog\nHypothesis: It sleeps."]
    rows = [
        {"id": f"i{n}", "text": text, "votes": {"a": 1, "b": 2}, "speaker": "s", "split": split}
        for n, (text, split) in enumerate(zip(texts, 2 * ("train", "validation", "test"), strict=True))
    ]
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = described(tmp_path, "--corpus", "jsonl", "--root", str(path))["repeated"]
    assert found["texts"] == {"items": 2, "distinct": 1, "named": ["'It is so.' ×2"]}
    assert (found["premises"]["items"], found["premises"]["distinct"]) == (2, 1)
    assert found["speakers in train and test"] == {"items": 2, "distinct": 1, "named": ["s ×2"]}
    assert "clips" not in found
    assert "2 items, 1 different ('It is so.' ×2)" in capsys.readouterr().out


def test_copies_of_clips_are_named_where_sound_is_opened(crema_d_root: Path, tmp_path: Path) -> None:
    folder = crema_d_root / "AudioWAV"
    first, second = sorted(path.name for path in folder.iterdir())[:2]
    (folder / second).write_bytes((folder / first).read_bytes())
    words = ["--corpus", "crema_d", "--root", str(crema_d_root), "--check-audio"]
    found = described(tmp_path, *words)["repeated"]["clips"]
    assert f"{first.removesuffix('.wav')} = {second.removesuffix('.wav')}" in found["named"]


def test_annotators_are_counted_where_a_corpus_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(lewidi.write(tmp_path / "small"))
    found = described(tmp_path, "--corpus", "lewidi", "--part", "par", "--root", root)
    shown = capsys.readouterr().out
    assert (found["part"], found["items"]) == ("par", 28)
    assert found["agreement"]["annotators"] == 3
    assert found["agreement"]["alpha_of"] == "intervals"
    assert found["agreement"]["by_annotator"]["Ann1"]["items"] == 28
    assert "wasserstein" in found["noise_floor"]["panel"]
    for text in ("Annotators", "Krippendorff's α, intervals", "Agreement by annotator", "│ Ann1"):
        assert text in shown
    nominal = described(tmp_path, "--corpus", "lewidi", "--part", "mp", "--root", root)
    assert nominal["agreement"]["alpha_of"] == "nominal classes"
    assert "wasserstein" not in nominal["noise_floor"]["panel"]
    chaos = str(chaosnli.write(tmp_path / "chaos"))
    assert described(tmp_path, "--corpus", "chaosnli", "--root", chaos)["agreement"] is None


def test_of_many_annotators_those_who_agree_least_and_most_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = lewidi.write(tmp_path / "small")
    chosen = {f"Ann{n}": str(int(n < 4)) for n in range(14)}
    lewidi.write_entries(root, "mp", "test", {"a": lewidi.ironic(0, chosen), "b": lewidi.ironic(1, chosen)})
    found = described(tmp_path, "--corpus", "lewidi", "--part", "mp", "--root", str(root))
    shown = capsys.readouterr().out
    assert found["agreement"]["by_annotator"]["Ann13"]["agreement"] == pytest.approx(9 / 13)
    assert "least and most, of those" in shown
    assert len([line for line in shown.splitlines() if line.startswith("│ Ann")]) == 10
