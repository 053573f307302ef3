"""The demo corpus: CREMA-D's layout, made once and whole, and with something in it to be learnt."""

from pathlib import Path

import pytest
import soundfile
import torch

import lalm_ambig.corpora.demo.corpus
from lalm_ambig.core.distributions import js_divergence, normalised_entropy
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.crema_d.corpus import CremaD
from lalm_ambig.corpora.demo.corpus import SETTINGS, Demo
from lalm_ambig.corpora.demo.writer import HEADER, DemoSettings, write_demo
from lalm_ambig.corpora.reading.splits import split_by_group


def test_the_demo_is_made_once_in_the_cache_and_read_with_rationales(demo_cache: Path) -> None:
    corpus = open_corpus("demo", None)
    items = list(corpus.read())
    assert corpus.root.parent == demo_cache / "lalm_ambig"
    assert len(items) == 60
    assert all(item.rationale and item.text and item.speaker for item in items)
    assert all(8 <= sum(item.votes) <= 12 for item in items)
    made = {path: path.stat().st_mtime_ns for path in corpus.root.rglob("*")}
    assert list(open_corpus("demo", None).read()) == items
    assert {path: path.stat().st_mtime_ns for path in corpus.root.rglob("*")} == made


@pytest.mark.usefixtures("demo_cache")
def test_its_clips_are_16_khz_mono_of_one_to_three_seconds() -> None:
    for item in open_corpus("demo", None).read():
        header = soundfile.info(item.audio)
        assert (header.samplerate, header.channels, header.subtype) == (16_000, 1, "PCM_16")
        assert 0.7 < header.duration < 3


@pytest.mark.usefixtures("demo_cache")
def test_the_layout_is_crema_ds_own() -> None:
    root = open_corpus("demo", None).root
    list(open_corpus("demo", None).read())
    assert len(list(CremaD(root).read())) == 60
    first = (root / "processedResults" / "tabulatedVotes.csv").read_text().splitlines()[0]
    assert first == ",".join(HEADER)


def test_the_header_is_that_of_the_real_votes_file(shared_data: Path) -> None:
    with (shared_data / "CREMA-D" / "processedResults" / "tabulatedVotes.csv").open() as file:
        assert tuple(name.strip('"\n') for name in file.readline().split(",")) == HEADER


def test_the_same_settings_give_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_demo(tmp_path / name, DemoSettings(actors=1, clips_per_actor=3, seed=seed))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 5
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert any(
        (tmp_path / "a" / f).read_bytes() != (tmp_path / "c" / f).read_bytes()
        for f in files
        if (tmp_path / "c" / f).is_file()
    )


@pytest.mark.usefixtures("demo_cache")
def test_a_root_is_filled_if_new_or_empty_and_refused_if_it_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        assert len(list(Demo(tmp_path / name).read())) == 60
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(
        InputError, match=r"corpus demo: not found: processedResults/tabulatedVotes.csv under .*other"
    ):
        list(Demo(tmp_path / "other").read())
    (tmp_path / "new" / "rationales.jsonl").write_text("")
    with pytest.raises(InputError, match=r"rationales\.jsonl: no rationale for clip 1001_"):
        list(Demo(tmp_path / "new").read())


def test_an_interrupted_making_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lalm_ambig.corpora.demo.writer.explain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path / "demo", DemoSettings(actors=1, clips_per_actor=1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("demo_cache")
def test_settings_name_the_generator() -> None:
    about = Demo().settings()
    assert (
        about["demo"]
        == lalm_ambig.corpora.demo.corpus.SETTINGS.fingerprint()
        != DemoSettings(seed=7).fingerprint()
    )


def test_the_default_has_about_600_80_and_160_clips() -> None:
    actors = [str(1001 + n) for n in range(DemoSettings().actors)]
    splits = split_by_group(actors, seed=0)
    sizes = [
        DemoSettings().clips_per_actor * list(splits.values()).count(s)
        for s in ("train", "validation", "test")
    ]
    assert sizes == [588, 84, 168]
    assert SETTINGS.actors in (10, 40)


@pytest.mark.usefixtures("demo_cache")
def test_people_disagree_and_the_prior_is_beatable() -> None:
    votes = torch.tensor([item.votes for item in open_corpus("demo", None).read()])
    label_dist = votes / votes.sum(-1, keepdim=True)
    assert 0.3 < float(normalised_entropy(label_dist).mean()) < 0.55
    prior = label_dist.mean(0, keepdim=True).expand_as(label_dist)
    assert 0.25 < float(js_divergence(label_dist, prior).mean()) < 0.4


@pytest.mark.usefixtures("demo_cache")
def test_abroad_are_other_speakers_and_listeners_with_other_habits() -> None:
    home, abroad = (list(Demo(panel=panel).read()) for panel in ("home", "abroad"))
    sounds = [{Path(str(item.audio)).read_bytes() for item in items} for items in (home, abroad)]
    assert not sounds[0] & sounds[1]
    prior = [torch.tensor([item.label_dist for item in items]).mean(0) for items in (home, abroad)]
    anger, neutral = (Demo().categories.names.index(name) for name in ("anger", "neutral"))
    assert prior[1][neutral] > prior[0][neutral] + 0.05
    assert prior[1][anger] > prior[0][anger]
