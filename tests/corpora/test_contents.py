"""The same item under another id: texts by their words, clips by their sound, whatever file they are in."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lalm_ambig.core.items import Item
from lalm_ambig.corpora.chaosnli import parse_pair
from lalm_ambig.corpora.duplicates import contents as module
from lalm_ambig.corpora.duplicates.between_splits import InBoth
from lalm_ambig.corpora.duplicates.contents import (
    contents,
    first_alike,
    is_substantial,
    premise_form,
    same_content,
    text_content,
    text_form,
    trained_among,
)

RATE_HZ = 16_000


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def text(name: str, words: str) -> Item:
    return Item(name, (1.0,), text=words)


def clip(name: str, path: Path, words: str | None = None) -> Item:
    return Item(name, (1.0,), audio=str(path), text=words)


def wave(seed: int, *, seconds: float = 1.5) -> np.ndarray:
    """Noise of which most lies below 1 kHz, as in speech."""
    draw = np.random.default_rng(seed).normal(0, 1, int(RATE_HZ * seconds))
    smooth = np.convolve(draw, np.hanning(24), mode="same")
    return 0.3 * smooth / np.abs(smooth).max()


PAIR = "Premise: A man – Zoë's friend – eats.\nHypothesis: He's not hungry."


@pytest.mark.parametrize(
    "other",
    [
        "premise: a man - zoe\u0308's friend - eats.  hypothesis: he’s NOT hungry",
        "  PREMISE : A man  Zoë's friend\u00a0eats\n\n\tHypothesis : He's not hungry !",
        "A man – Zoë's friend – eats. [SEP] He's not hungry.",
        "A man Zoë's friend eats\tHe's not\u200b hungry.",
        '{"hypothesis": "He\'s not hungry.", "premise": "A man – Zoë\'s friend – eats."}',
        "sentence1: A man – Zoë's friend – eats. sentence2: He's not hungry.",
        "A man &ndash; Zoë&#39;s friend &ndash; eats.</s></s>He&apos;s not hungry.",
    ],
)
def test_case_blanks_unicode_form_labels_and_their_order_hide_no_text(other: str) -> None:
    assert text_form(other) == text_form(PAIR)
    assert text_content(other) == text_content(PAIR)


@pytest.mark.parametrize(
    "other",
    [
        "Premise: He's not hungry.\nHypothesis: A man – Zoë's friend – eats.",
        "Premise: A man – Zoë's friend – eats.\nHypothesis: He's hungry.",
        "Premise: A man – Zoe's friend – eats.\nHypothesis: He's not hungry.",
    ],
)
def test_swapped_parts_and_other_words_are_another_text(other: str) -> None:
    assert text_content(other) != text_content(PAIR)


def test_texts_without_a_letter_are_told_apart() -> None:
    assert text_content("?!") != text_content("…")
    assert text_content(" ? !") == text_content("?  !")


def test_a_pair_of_the_corpus_is_known_again_in_another_file() -> None:
    example = {"premise": "Two  dogs run.", "hypothesis": "Dogs are RUNNING outside."}
    row = {"uid": "p1", "example": example, "label_counter": {"e": 60, "n": 40}}
    ours = parse_pair(row).text
    copy = "hypothesis: dogs are running outside. premise: two dogs run."
    found = trained_among([text("z", copy)], [text_content(copy)], [text_content(ours)])
    assert found == [True]


def test_short_texts_repeat_by_chance_unless_half_of_the_test_does() -> None:
    chance = [text(str(n), words) for n, words in enumerate(["Thank you.", *map(sentence, range(5))])]
    trained = [text_content("thank you")]
    assert not is_substantial("Thank you.")
    assert trained_among(chance, contents(chance), trained) == [False] * 6
    short = [text(str(n), f"word {n}") for n in range(6)]
    assert (
        trained_among(short, contents(short), contents(short[:3])) == [False] * 6
    )  # only three different ones
    assert trained_among(short, contents(short), contents(short)) == [True] * 6
    several = [*short, *(text(f"l{n}", sentence(n)) for n in range(7))]
    assert not any(trained_among(several, contents(several), contents(short)))  # less than half


def sentence(number: int) -> str:
    return f"this is a longer sentence with the number {number}"


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate_hz", "channels", "gain"),
    [
        (".wav", "PCM_16", RATE_HZ, 1, 1.0),
        (".flac", "PCM_16", RATE_HZ, 1, 1.0),
        (".flac", "PCM_24", RATE_HZ, 2, 1.0),
        (".WAV", "FLOAT", RATE_HZ, 1, 0.4),
        (".aiff", "PCM_24", RATE_HZ, 1, 1.0),
        (".wav", "PCM_U8", RATE_HZ, 1, 1.0),
        (".wav", "ULAW", RATE_HZ, 1, 1.0),
        (".ogg", "VORBIS", RATE_HZ, 1, 1.0),
        (".ogg", "OPUS", RATE_HZ, 1, 1.0),
        (".mp3", None, RATE_HZ, 1, 1.0),
        (".wav", "PCM_16", 48_000, 2, 1.0),
    ],
)
def test_a_clip_is_known_again_in_any_container(
    tmp_path: Path, suffix: str, subtype: str | None, rate_hz: int, channels: int, gain: float
) -> None:
    original = wave(1)
    soundfile.write(tmp_path / "original.wav", original, RATE_HZ)
    samples = np.repeat(original, rate_hz // RATE_HZ)[:, None] * np.ones((1, channels)) * gain
    path = tmp_path / f"copy{suffix}"
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    soundfile.write(tmp_path / "other.wav", wave(2), RATE_HZ)
    items = [
        clip("a", tmp_path / "original.wav", "Well."),
        clip("b", path),
        clip("c", tmp_path / "other.wav", "Well."),
    ]
    ours, copied, other = contents(items)
    assert same_content(ours, copied) and not same_content(ours, other)
    assert trained_among(items, [ours, copied, other], [ours]) == [True, True, False]
    assert first_alike(copied, [other, ours]) == 1 and first_alike(other, [ours, copied]) is None


def test_silence_at_the_end_makes_no_other_clip(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", wave(1), RATE_HZ)
    soundfile.write(tmp_path / "b.wav", np.concatenate([wave(1), np.zeros(RATE_HZ)]), RATE_HZ)
    one, other = contents([clip("a", tmp_path / "a.wav"), clip("b", tmp_path / "b.wav")])
    assert same_content(one, other)


def test_other_lengths_and_the_same_words_unheard_are_other_items(tmp_path: Path) -> None:
    long, short = wave(3, seconds=2.0), wave(3, seconds=2.0)[:RATE_HZ]
    for name, samples in (("long", long), ("short", short)):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE_HZ)
    heard = [clip("a", tmp_path / "long.wav", sentence(1)), clip("b", tmp_path / "short.wav", sentence(1))]
    read = [text("c", sentence(1))]
    assert trained_among(heard, contents(heard), contents(heard)[:1]) == [True, False]
    assert trained_among(read, contents(read), contents(heard)) == [False]


def test_sounds_are_read_once_and_again_where_a_file_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, wave(4), RATE_HZ)
    item = clip("a", path)
    before = contents([item])
    monkeypatch.setattr(module, "sketch_of", lambda _: pytest.fail("it was read again"))
    assert contents([item]) == before
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    soundfile.write(path, wave(5), RATE_HZ)
    os.utime(path, ns=(1, 1))
    assert not same_content(contents([item])[0], before[0])


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', json.dumps({"a": ["x", "sound:1/AAAA"]})])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    soundfile.write(tmp_path / "a.wav", wave(6), RATE_HZ)
    item = clip("a", tmp_path / "a.wav")
    before = contents([item])
    [kept] = (tmp_path / "cache/lalm_ambig").glob("sounds-*/*.json")
    kept.write_text(damage)
    assert contents([item]) == before
    assert json.loads(kept.read_text()) != damage


def test_a_sound_that_is_gone_has_no_content_and_matches_nothing(tmp_path: Path) -> None:
    item = clip("a", tmp_path / "gone.wav", "Well.")
    assert contents([item]) == [""]
    assert trained_among([item], [""], ["", text_content("Well.")]) == [False]


def test_what_a_split_has_twice_is_counted_and_named(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        soundfile.write(tmp_path / f"{name}.wav", wave(seed), RATE_HZ)
    train = [
        clip("t1", tmp_path / "a.wav", "It is."),
        text("t2", PAIR),
        Item("t3", (1.0,), text="x", speaker="s"),
    ]
    test = [
        clip("v1", tmp_path / "b.wav", "it is"),
        clip("v2", tmp_path / "c.wav", "No."),
        text("v3", PAIR.replace("not ", "")),
        Item("v4", (1.0,), text="y", speaker="s"),
    ]

    def shared(train: list[Item], test: list[Item]) -> tuple[str, ...]:
        among = InBoth(test)
        for item in train:
            among.show(item)
        return among.lines()

    assert shared(train, test) == (
        "1 of 4 test items have a text that training items have too (1 text)",
        "1 of 4 test items have a premise that training items have too (1 premise)",
        "1 of 4 test clips are copies of training clips (v1 = t1)",
        "1 of 4 test items are by speakers of training items (1 speaker)",
    )
    assert shared(train, [text("n", "nothing alike")]) == ()
    assert premise_form("no pair") is None
