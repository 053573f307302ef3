"""Items longer than the model: found by id and length before anything is trained, refused or left out."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from small_model import MakePolicy, noise

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.corpora.jsonl.corpus import JsonLines
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.data.encoding import Encoder
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.grpo import GRPO
from lalm_ambig.methods.sft import SFT
from lalm_ambig.objectives.sft import SFTObjective
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.rollouts.sampling import Sampling
from lalm_ambig.runs.batch_checks import long_items
from lalm_ambig.runs.batch_checks.long_items import refuse_long, too_long
from lalm_ambig.runs.session import connect

PROMPT = "Which of {classes}?\n{text}"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, cache_home: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


@pytest.fixture
def policy(make_policy: MakePolicy) -> Tiny:
    """A policy of its own, since its limit is changed."""
    return make_policy()


def limited(policy: Tiny, limit: int) -> None:
    policy.base.config.text_config.max_position_embeddings = limit


def texts(folder: Path, *words: int, **settings: Any) -> DataModule:
    """Items t0, t1, … of so many letters (a token each), two of each split, with a rationale of one letter."""
    splits = ("train", "train", "validation", "validation", "test", "test")
    rows = [
        {
            "id": f"t{n}",
            "text": "q " * count,
            "rationale": "z",
            "votes": {"anger": 1, "fear": 2},
            "split": splits[n],
        }
        for n, count in enumerate(words)
    ]
    (folder / "own.txt").write_text(PROMPT)
    path = folder / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return DataModule(JsonLines(path), prompt=str(folder / "own.txt"), **settings)


def length_of(data: DataModule, item: int) -> int:
    """Tokens of the prompt of an item of the training split."""
    return len(data.encoder.prompt_ids(data.items("train")[item]))


def test_an_item_that_does_not_fit_is_named_with_its_length_and_may_be_left_out(
    tmp_path: Path, policy: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    method = SFT(policy, reasoning=False)
    words = (3, 40, 3, 3, 3, 41)
    data = connect(method, texts(tmp_path, *words))
    longest = length_of(data, 1)  # of t1; that of t5 is one word longer
    answer = data.encoder.curated_length(data.items("train")[0])
    word = length_of(connect(method, texts(tmp_path, 4, *words[1:])), 0) - length_of(data, 0)
    limited(policy, longest + answer)
    t5 = longest + word + answer
    with pytest.raises(
        InputError,
        match=rf"corpus jsonl: 1 of 6 items do not fit into the model's {longest + answer} positions: "
        rf"t5 \({t5} tokens, {answer} of them for a response\)\. --data\.skip_long true leaves such items out\.$",
    ):
        connect(method, texts(tmp_path, *words), training=True)
    limited(policy, longest + answer - 1)
    with pytest.raises(
        InputError, match=r"2 of 6 items .*: t1 \(.*\), t5 \(.*--skip-long leaves such items out\.$"
    ):
        connect(method, texts(tmp_path, *words))
    left = connect(method, texts(tmp_path, *words, skip_long=True), training=True)
    assert [item.id for split in ("train", "validation", "test") for item in left.items(split)] == [  # type: ignore[arg-type]
        "t0", "t2", "t3", "t4",
    ]  # fmt: skip
    assert "jsonl: 2 of 6 items do not fit into the model's" in capsys.readouterr().err
    limited(policy, t5)
    connect(method, texts(tmp_path, *words), training=True)


def test_only_what_is_answered_counts_and_a_split_without_items_is_an_error(
    tmp_path: Path, policy: Tiny
) -> None:
    method = SFT(policy, reasoning=False)
    limited(policy, 100)
    connect(method, texts(tmp_path, 3, 400, 3, 3, 3, 3), splits=("test",))
    with pytest.raises(InputError, match=r"every item of the test split is too long .* 100 positions: t4 \("):
        connect(method, texts(tmp_path, 3, 3, 3, 3, 400, 400, skip_long=True))


def test_room_is_kept_for_the_longest_response_of_training_and_of_evaluation(
    tmp_path: Path, policy: Tiny
) -> None:
    def method(sampled: int, written: int) -> GRPO:
        return GRPO(
            policy, sampling=Sampling(max_new_tokens=sampled), generation=Generation(max_new_tokens=written)
        )

    data = connect(method(5, 5), texts(tmp_path, *[3] * 6))
    prompt = length_of(data, 0)
    bare = data.encoder.curated_length(data.items("train")[0]) - 1  # without the one letter of its rationale
    limited(policy, prompt + bare + 10)
    connect(method(10, 10), texts(tmp_path, *[3] * 6), training=True)
    ways = r"--data\.skip_long true leaves such items out, or "
    with pytest.raises(
        InputError,
        match=rf"2 of 6 items .*: t0 \({prompt + bare + 11} tokens, {bare + 11} of them for a response\), t1 .*\. "
        rf"{ways}model\.sampling\.max_new_tokens of at most 10 lets them in\.$",
    ):
        connect(method(11, 10), texts(tmp_path, *[3] * 6), training=True)
    with pytest.raises(
        InputError, match=rf"4 of 6 .*{ways}model\.generation\.max_new_tokens of at most 10 lets"
    ):
        connect(method(10, 12), texts(tmp_path, *[3] * 6), training=True)
    with pytest.raises(
        InputError, match=r"4 of 6 items .*, or --max-new-tokens of at most 10 lets them in\.$"
    ):
        connect(method(10, 12), texts(tmp_path, *[3] * 6))


def test_a_curated_response_counts_where_it_is_trained_on_also_one_of_a_file(
    tmp_path: Path, policy: Tiny
) -> None:
    method = SFT(policy, reasoning=True, generation=Generation(max_new_tokens=1))
    data = connect(method, texts(tmp_path, *[3] * 6))
    prompt = length_of(data, 0)
    curated = data.encoder.curated_length(data.items("train")[0])
    limited(policy, prompt + curated + 30)
    connect(method, texts(tmp_path, *[3] * 6), training=True)
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps({"id": "t1", "rationale": "z " * 200}) + "\n")
    with pytest.raises(
        InputError, match=r"1 of 6 items .*: t1 \(.*\)\. --data\.skip_long true leaves such items out\.$"
    ):
        connect(method, texts(tmp_path, *[3] * 6, rationales=file), training=True)


def test_sound_counts_25_tokens_a_second(demo_root: Path, policy: Tiny) -> None:
    method = SFT(policy, reasoning=False)
    data = DataModule(open_corpus("demo", demo_root), cache_features=False)
    data = connect(method, data, splits=("test",))
    lengths = {item.id: int(data.encoder([item]).prompt.mask.sum()) for item in data.items("test")}
    answer = long_items._shortest(data.encoder)
    for limit in sorted(lengths.values())[3:5]:
        found = {item.id: item.prompt for item in too_long(method, data, data.encoder, limit=limit + answer)}
        assert set(found) >= {item for item, length in lengths.items() if length > limit}
        assert all(abs(length - lengths[item]) <= 1 for item, length in found.items())


def test_a_clip_without_words_counts_by_its_sound(tmp_path: Path, policy: Tiny) -> None:
    soundfile.write(tmp_path / "a.wav", noise(4.0, seed=0).numpy(), 16_000)
    row = {"id": "clip", "audio": "a.wav", "votes": {"anger": 1, "fear": 2}, "split": "test"}
    (tmp_path / "items.jsonl").write_text(json.dumps(row) + "\n")
    method = SFT(policy, reasoning=False)
    data = DataModule(JsonLines(tmp_path / "items.jsonl"), prompt="speech_emotion_short")
    data = connect(method, data)
    whole = int(data.encoder(list(data.items("test"))).prompt.mask.sum()) + long_items._shortest(data.encoder)
    assert whole > 100  # tokens of sound, of which the words' bytes say nothing
    assert too_long(method, data, data.encoder, limit=whole) == []
    assert [item.tokens for item in too_long(method, data, data.encoder, limit=whole - 1)] == [whole]


def test_an_answer_in_words_is_all_of_the_response(tmp_path: Path, policy: Tiny) -> None:
    def method(written: int) -> SFT:
        return SFT(
            policy,
            objective=SFTObjective(kl_weight=0.0),
            reasoning=False,
            readout="verbalised",
            generation=Generation(max_new_tokens=written),
        )

    data = connect(method(1), texts(tmp_path, *[3] * 6))
    prompt = length_of(data, 0)
    curated = data.encoder.curated_length(data.items("train")[0])
    limited(policy, prompt + curated + 5)
    connect(method(curated + 5), texts(tmp_path, *[3] * 6), training=True)
    with pytest.raises(InputError, match=rf"4 of 6 .*max_new_tokens of at most {curated + 5} lets them in"):
        connect(method(curated + 6), texts(tmp_path, *[3] * 6), training=True)


def test_a_model_without_a_limit_takes_everything(
    tmp_path: Path, policy: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_items, "position_limit", lambda _: None)
    connect(SFT(policy, reasoning=False), texts(tmp_path, *[3_000] * 6), training=True)


def test_a_single_question_that_does_not_fit_is_refused(tmp_path: Path, policy: Tiny) -> None:
    method = SFT(policy, reasoning=True, generation=Generation(max_new_tokens=50))
    data = texts(tmp_path, *[3] * 6)
    data = connect(method, data)
    whole = 10 + 50 + long_items._shortest(data.encoder)
    limited(policy, whole)
    refuse_long(method, data.encoder, prompt=10)
    with pytest.raises(
        InputError, match=rf"predict: it does not fit into the model's {whole} .*--max-new-tokens of at mo"
    ):
        refuse_long(method, data.encoder, prompt=11)
    with pytest.raises(InputError, match=r"predict: .*: give a shorter one\.$"):
        refuse_long(method, data.encoder, prompt=whole)


@given(st.text(max_size=40))
def test_bytes_bound_what_unicodes_normal_forms_can_make_of_a_text(text: str) -> None:
    encodable = text.encode("utf-8", "ignore").decode()
    bound = long_items._tokens_at_most(np.array([len(encodable.encode())]), np.array([len(encodable)]))[0]
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert len(unicodedata.normalize(form, encodable).encode()) <= bound  # type: ignore[arg-type]


def test_the_longest_of_all_expansions_is_within_the_bound() -> None:
    ligature = "\ufdfa"
    assert len(unicodedata.normalize("NFKC", ligature).encode()) == 33
    assert long_items._tokens_at_most(np.array([3]), np.array([1]))[0] >= 33


def test_many_short_texts_cost_no_tokenisation(
    tmp_path: Path, policy: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"id": str(n), "text": f"the voice is calm {n}", "votes": {"anger": 1, "fear": 2}, "split": "train"}
        for n in range(1_000)
    ]
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = DataModule(JsonLines(path))
    method = SFT(policy, reasoning=False)
    data = connect(method, data)
    asked: list[object] = []
    prompt_ids = Encoder.prompt_ids
    monkeypatch.setattr(Encoder, "prompt_ids", lambda *a, **k: asked.append(a) or prompt_ids(*a, **k))
    assert too_long(method, data, data.encoder, limit=2048) == []
    assert len(asked) <= 3
