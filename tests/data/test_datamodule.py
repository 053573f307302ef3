"""The corpus as loaders: limits, rationales from a file, batches, and what is refused."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from layouts.chaosnli import write
from small_model import MakeEncoder

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import SPLITS
from lalm_ambig.corpora.chaosnli import ChaosNli
from lalm_ambig.corpora.demo.corpus import Demo
from lalm_ambig.corpora.goemotions.corpus import GoEmotions
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.corpora.preparing import prepared
from lalm_ambig.corpora.rationales import read_rationales
from lalm_ambig.data.datamodule import DataModule, MethodNeeds
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.policies.tiny import Tiny


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


def ready(demo_root: Path, **settings: Any) -> DataModule:
    data = DataModule(Demo(demo_root), **settings)
    data.setup()
    return data


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def blocks(folder: Path, split: str) -> JsonLines:
    """A hundred texts of one split, twenty after twenty of one speaker, a quarter of them joy."""
    votes = [{"joy": int(n % 4 == 0), "anger": int(n % 4 > 0)} for n in range(100)]
    rows = [
        {"id": str(n), "text": "a text", "speaker": f"s{n // 20}", "split": split, "votes": given}
        for n, given in enumerate(votes)
    ]
    return JsonLines(write_rows(folder / "corpus.jsonl", rows), categories=["joy", "anger"])


def test_splits_are_the_corpuss_and_share_no_item(demo_root: Path) -> None:
    data = ready(demo_root)
    ids = {split: [item.id for item in data.items(split)] for split in SPLITS}
    assert ids == {split: [i.id for i in Demo(demo_root).read() if i.split == split] for split in SPLITS}
    assert sum(len(found) for found in ids.values()) == 60
    assert all(item.duration_s > 0 for item in data.items("train"))


def test_a_limit_takes_a_sample_of_each_split_in_its_order(demo_root: Path) -> None:
    whole, data = ready(demo_root), ready(demo_root, limit=4)
    for split in SPLITS:
        every, some = ([item.id for item in source.items(split)] for source in (whole, data))
        assert len(some) == 4
        assert some == [item for item in every if item in some] != every[:4]
        assert len({item.speaker for item in data.items(split)}) == min(
            4, len({item.speaker for item in whole.items(split)})
        )
    assert len(data.train_items()) == 4
    assert [item.id for item in data.items("train")[1:3]] == [item.id for item in data.items("train")][1:3]


def test_a_limit_keeps_the_proportions_of_parts_speakers_and_classes(tmp_path: Path) -> None:
    pairs = write(tmp_path)
    both, data = DataModule(ChaosNli(pairs)), DataModule(ChaosNli(pairs), limit=8)
    for module in (both, data):
        module.setup()
    shares = [Counter(item.part for item in module.items("train")) for module in (both, data)]
    assert shares[0].keys() == {"snli", "mnli"}
    assert shares[1].total() == 8
    for part, count in shares[0].items():
        assert abs(shares[1][part] - 8 * count / shares[0].total()) < 1
    data = DataModule(blocks(tmp_path, "train"), limit=20)
    data.setup()
    assert Counter(item.speaker for item in data.items("train")) == {f"s{n}": 4 for n in range(5)}
    assert Counter(item.majority for item in data.items("train")) == {0: 5, 1: 15}


def test_a_limit_is_the_same_for_every_run_on_a_split_and_grows_from_a_smaller_one(demo_root: Path) -> None:
    for split in SPLITS:
        first, again, more = (
            [item.id for item in ready(demo_root, **settings).items(split)]
            for settings in ({"limit": 4}, {"limit": 4, "batch_size": 3}, {"limit": 6})
        )
        assert first == again
        assert set(first) < set(more)
    module = DataModule(Demo(demo_root, seed=1), limit=4)
    module.setup()
    assert module.items("train").source.ids() != ready(demo_root).items("train").source.ids()


def test_text_is_written_for_a_sample_of_the_validation_split_which_comes_first(demo_root: Path) -> None:
    data = ready(demo_root, eval_batch_size=3)
    every = [item.id for item in data.items("validation")]
    assert [item.id for item in data.validation_items()] == every
    data = data.prepared_for(MethodNeeds(written_items=4))
    order = [item.id for item in data.validation_items()]
    assert sorted(order) == sorted(every)
    assert order[:4] == [item for item in every if item in order[:4]] != every[:4]
    assert order[4:] == [item for item in every if item not in order[:4]]
    assert order == [item.id for item in data.validation_items()]
    data = data.prepared_for(MethodNeeds(written_items=len(every)))
    assert [item.id for item in data.validation_items()] == every


@pytest.mark.parametrize("limit", [1, 2, 0.5])
def test_where_a_trainer_looks_at_some_batches_only_they_are_a_sample(tmp_path: Path, limit: float) -> None:
    data = DataModule(blocks(tmp_path, "validation"), eval_batch_size=5)
    data.setup()
    every = [item.id for item in data.items("validation")]
    data.trainer = SimpleNamespace(limit_val_batches=limit)  # type: ignore[assignment]
    order = list(data.validation_items())
    assert sorted(item.id for item in order) == sorted(every)
    assert len({item.speaker for item in order[:5]}) == 5
    data.trainer = SimpleNamespace(limit_val_batches=1.0)  # type: ignore[assignment]
    assert [item.id for item in data.validation_items()] == every


def test_what_is_too_long_is_in_no_split_and_makes_no_room_for_others(demo_root: Path) -> None:
    whole, data = ready(demo_root, limit=4), ready(demo_root, limit=4)
    data = data.without(frozenset(whole.items(split)[0].id for split in SPLITS))
    for split in SPLITS:
        assert [item.id for item in data.items(split)] == [item.id for item in whole.items(split)][1:4]


def test_rationales_of_a_file_replace_the_corpuss_own(demo_root: Path, tmp_path: Path) -> None:
    own = ready(demo_root).items("train")
    file = write_rows(tmp_path / "r.jsonl", [{"id": own[0].id, "rationale": " new "}])
    data = ready(demo_root, rationales=file)
    assert data.items("train")[0].rationale == "new"
    assert data.items("train")[1].rationale == own[1].rationale


def texts(path: Path, *, split: str) -> JsonLines:
    """Three texts without rationales, all in that split."""
    rows = [{"id": f"t{n}", "text": "x", "votes": {"a": 1, "b": n}, "split": split} for n in range(3)]
    return JsonLines(write_rows(path, rows))  # type: ignore[arg-type]


def test_items_without_a_rationale_are_trained_on_only_where_none_is_needed(tmp_path: Path) -> None:
    data = DataModule(texts(tmp_path / "train.jsonl", split="train"))
    data.setup()
    data.rationales = {"t1": "only this one"}
    assert [(item.id, item.rationale) for item in data.train_items()] == [("t1", "only this one")]
    every = data.prepared_for(MethodNeeds(rationale=False))
    assert [item.rationale for item in every.train_items()] == [None, "only this one", None]
    data.rationales = {}
    with pytest.raises(
        InputError, match=r"none of the 3 training items has a rationale. Give --data.rationales"
    ):
        data.train_items()
    empty = DataModule(texts(tmp_path / "test.jsonl", split="test"))
    empty.setup()
    with pytest.raises(InputError, match=r"corpus jsonl: none of its [0-9]+ items is for training"):
        empty.train_items()


def test_methods_that_need_no_rationale_can_be_trained_on_the_same_items(tmp_path: Path) -> None:
    data = DataModule(texts(tmp_path / "train.jsonl", split="train"), only_with_rationale=True)
    data.setup()
    data.rationales = {"t1": "only this one"}
    data = data.prepared_for(MethodNeeds(rationale=False))
    assert [item.id for item in data.train_items()] == ["t1"]
    assert data.notes() == ["2 of 3 training items have no rationale and are left out (t0, t2)"]


def test_a_walk_over_items_gives_what_single_items_are(
    demo_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "ROWS_AT_ONCE", 5)  # several reads, the last one short
    data = ready(demo_root)
    items = data.items("train", with_rationale=True)
    data.rationales = items.rationales = {items[2].id: "new"}
    assert len(items) % 5
    assert list(items) == [items[i] for i in range(len(items))]
    assert list(items[5:9]) == list(items)[5:9]
    assert list(items)[2].rationale == "new"


def test_loaders_pass_every_item_once_and_evaluation_keeps_the_order(
    demo_root: Path, tiny: Tiny, make_encoder: MakeEncoder
) -> None:
    data = ready(demo_root, batch_size=4, eval_batch_size=5).encoded_by(make_encoder(tiny))
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, accumulate_grad_batches=1)  # type: ignore[assignment]
    seen = [item.id for batch in data.train_dataloader() for item in batch.items]
    assert sorted(seen) == sorted(item.id for item in data.items("train"))
    assert seen != [item.id for item in data.items("train")]
    evaluated = [item.id for batch in data.loader("test") for item in batch.items]
    assert evaluated == [item.id for item in data.items("test")]
    assert isinstance(data.encoder, Encoder)


@pytest.mark.parametrize(("updates", "world"), [(1, 1), (2, 1), (1, 2)])
def test_a_steps_first_pass_brings_the_items_of_the_next_step_where_they_are_wanted(
    demo_root: Path,
    tiny: Tiny,
    make_encoder: MakeEncoder,
    updates: int,
    world: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lalm_ambig.core.distributed.world_size", lambda: world)
    configured = DataModule(Demo(demo_root), batch_size=2)
    for next_step in (True, False):
        needs = MethodNeeds(whole_steps=True, next_step=next_step, updates=updates)
        data = configured.prepared_for(needs).encoded_by(make_encoder(tiny))
        data.trainer = SimpleNamespace(accumulate_grad_batches=3)  # type: ignore[assignment]
        batches = list(data.train_dataloader())
        steps = [
            [[item.id for item in batch.items] for batch in batches[n : n + 3]]
            for n in range(0, len(batches), 3)
        ]
        firsts = [batches[n] for n in range(0, len(batches), 3)]
        following = [*steps[updates::updates], []] if next_step else [[]] * (len(steps) // updates)
        ahead = [[[item.id for item in batch.items] for batch in first.ahead] for first in firsts]
        assert ahead[::updates] == following
        assert not any(one.ahead for one in batches if one.step is not None and one.step.number)
        assert updates == 1 or not any(ahead[1::2]), "only before what is sampled next"
        assert len(firsts) > 2
        assert [len(one.ahead) for one in (firsts[0].to("cpu"),)] == [3 if next_step else 0]


@pytest.mark.parametrize("whole", [True, False])
def test_a_steps_first_pass_brings_the_items_of_the_others(
    demo_root: Path, tiny: Tiny, make_encoder: MakeEncoder, whole: bool
) -> None:
    configured = DataModule(Demo(demo_root), batch_size=2)
    data = configured.prepared_for(MethodNeeds(whole_steps=whole, updates=2)).encoded_by(make_encoder(tiny))
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, accumulate_grad_batches=3)  # type: ignore[assignment]
    batches = list(data.train_dataloader())
    assert len(batches) == len(data.train_dataloader())
    steps = [batches[n : n + 3] for n in range(0, len(batches), 3)]
    for step in steps:
        places = [batch.step for batch in step]
        assert [place.number for place in places] == [0, 1, 2]
        assert {place.items for place in places} == {sum(len(batch.items) for batch in step)}
        assert {place.passes for place in places} == {3}
        later = [[item.id for item in batch.items] for batch in places[0].later]
        assert later == ([[item.id for item in batch.items] for batch in step[1:]] if whole else [])
        assert not places[1].later
        assert not places[2].later
    once = [[item.id for batch in step for item in batch.items] for step in steps]
    assert once[0::2] == once[1::2], "each step comes twice"
    ids = [item for step in once[0::2] for item in step]
    assert set(ids) == {item.id for item in data.items("train")}


def test_bad_rows_are_left_out_where_the_data_says_so_also_after_a_first_look_at_the_corpus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good: list[dict[str, object]] = [{"id": str(n), "text": "x", "votes": {"a": 1, "b": n}} for n in range(9)]
    file = write_rows(tmp_path / "items.jsonl", [*good, {"id": "bad", "text": "x"}])
    with pytest.raises(
        InputError, match=r"items.jsonl:10: item 'bad' needs \"votes\".*--data.skip_bad_rows tr"
    ):
        DataModule(JsonLines(file)).setup()
    corpus = JsonLines(file)
    with pytest.raises(InputError, match=r"items.jsonl:10"):
        _ = corpus.categories
    data = DataModule(corpus, skip_bad_rows=True)
    data.setup()
    assert sum(len(data.items(split)) for split in SPLITS) == 9
    assert "jsonl: 1 bad rows left out (9 kept):\n" in capsys.readouterr().err
    by_the_corpus = DataModule(JsonLines(file, skip_bad_rows=True))
    by_the_corpus.setup()
    assert by_the_corpus.prepared.from_cache


@pytest.mark.parametrize(
    ("rows", "prompt", "for_texts"),
    [
        ([{"text": "x"}], "text_emotion", "text_emotion"),
        ([{"audio": "a.wav"}], "speech_emotion", "text_emotion"),
        ([{"audio": "a.wav"}, {"text": "x"}], "speech_emotion", "text_emotion"),
        ([{"text": "x"}, {"audio": "a.wav", "text": None}, {"text": "x"}], "speech_emotion", "text_emotion"),
    ],
)
def test_json_lines_are_asked_about_what_they_hold(
    tmp_path: Path, rows: list[dict[str, object]], prompt: str, for_texts: str
) -> None:
    file = tmp_path / "items.jsonl"
    data, given = (
        DataModule(JsonLines(file)),
        DataModule(JsonLines(file), prompt="inference"),
    )  # no file is read yet
    write_rows(file, [{"id": str(n), "votes": {"a": 1, "b": 1}, **row} for n, row in enumerate(rows)])
    asked = data.elicitation(reasoning=True, readout="logits")
    assert (asked.prompt, asked.about_texts.prompt) == (prompt, for_texts)
    asked = given.elicitation(reasoning=False, readout="verbalised")
    assert (asked.prompt, asked.about_texts.prompt) == ("inference", "inference")


def test_other_corpora_keep_their_prompts(demo_root: Path) -> None:
    assert (DataModule(Demo(demo_root)).prompt, DataModule(Demo(demo_root)).prompt_for_texts) == (
        "speech_emotion",
        "text_emotion",
    )
    assert DataModule(ChaosNli(demo_root)).prompt_for_texts == "inference"
    assert DataModule(GoEmotions(demo_root)).prompt_for_texts == "text_emotion"


@pytest.mark.parametrize("settings", [{"batch_size": 0}, {"eval_batch_size": -1}])
def test_sizes_below_one_are_refused(demo_root: Path, settings: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"data: (eval_)?batch_size must be at least 1, got"):
        DataModule(Demo(demo_root), **settings)


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(demo_root: Path, limit: int) -> None:
    with pytest.raises(InputError, match=f"data: limit must be at least 1, got {limit}"):
        DataModule(Demo(demo_root), limit=limit)


def test_rationales_of_another_corpus_are_refused(demo_root: Path, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "r.jsonl", [{"id": "else", "rationale": "x"}])
    with pytest.raises(
        InputError, match=r"none of its 1 ids is an item of corpus demo: was it written for another"
    ):
        ready(demo_root, rationales=file)


def test_the_last_rationale_counts_and_a_rejected_row_takes_its_own_back(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": "a", "rationale": "first"},
        {"id": "a", "rationale": "second"},
        {"id": "b", "key": "k", "rationale": "b's", "outcome": "accepted"},
        {"id": "b", "key": "k", "outcome": "rejected"},
        {"id": "c", "outcome": "failed"},
        {"id": 7, "rationale": "of number 7"},
    ]
    assert read_rationales(write_rows(tmp_path / "r.jsonl", rows)) == {"a": "second", "7": "of number 7"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", r"r.jsonl:2: not JSON: Expecting property name"),
        ("[1]", r"r.jsonl:2: a row must be a JSON object, got list"),
        ('{"id": "a", "rationale": "x", "id": "b"}', r"r.jsonl:2: not JSON .* has the key 'id' twice"),
        ('{"rationale": "x"}', r'r.jsonl:2: a row needs an "id": a text or a whole number'),
        ('{"id": "a", "rationale": " "}', r'r.jsonl:2: item a has no "rationale" text'),
        ('{"id": "a"}', r'r.jsonl:2: item a has no "rationale" text'),
    ],
)
def test_a_malformed_rationale_is_named_by_its_line(tmp_path: Path, line: str, expected: str) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text('{"id": "x", "rationale": "y"}\n' + line + "\n")
    with pytest.raises(InputError, match=expected):
        read_rationales(file)
    with pytest.raises(InputError, match=r"data.rationales: no such file: .*nowhere.jsonl"):
        read_rationales(tmp_path / "nowhere.jsonl")


def test_data_that_is_prepared_for_a_method_leaves_the_configured_data_as_it_is(
    demo_root: Path, tiny: Tiny, make_encoder: MakeEncoder
) -> None:
    configured = DataModule(Demo(demo_root), limit=4)
    needs, encoder = MethodNeeds(rationale=False, updates=2, smallest_step=3), make_encoder(tiny)
    prepared_data = configured.prepared_for(needs)
    loading = prepared_data.without(frozenset({prepared_data.items("test")[0].id})).encoded_by(encoder)
    assert (loading.needs, loading.encoder, len(loading.items("test"))) == (needs, encoder, 3)
    assert (configured.needs, configured.left_out) == (MethodNeeds(), frozenset())
    assert [len(data.items("test")) for data in (configured, prepared_data)] == [4, 4]
    assert len(configured.unlimited().items("test")) > 4
    for unfinished in (configured, prepared_data):
        with pytest.raises(RuntimeError, match=r"no encoder: use what encoded_by, or runs.session.connect"):
            _ = unfinished.encoder
