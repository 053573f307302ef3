"""`load` and `Model.predict`: the forms of an input, long recordings, refusals, and what an answer shows."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from lalm_ambig import predict
from lalm_ambig.core.errors import InputError
from lalm_ambig.inference.answer import Answer
from lalm_ambig.inference.model import Model, load

pytestmark = pytest.mark.filterwarnings("ignore")
RATE = 16_000


@pytest.fixture(scope="module")
def clips(demo_root: Path) -> list[Path]:
    return sorted((demo_root / "AudioWAV").glob("*.wav"))[:5]


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


def test_one_input_has_an_answer_and_a_list_has_a_list_of_the_same(model: Model, clips: list[Path]) -> None:
    alone = model.predict(clips[0], text="It is so.")
    assert isinstance(alone, Answer)
    assert tuple(alone.distribution) == model.classes and sum(alone.distribution.values()) == pytest.approx(1)
    assert alone.top == max(alone.distribution, key=lambda name: alone.distribution[name])
    shares = np.array(list(alone.distribution.values()))
    assert alone.entropy == pytest.approx(float(-(shares * np.log2(shares)).sum()))
    together = model.predict([{"audio": str(clip), "text": "It is so."} for clip in clips], batch_size=2)
    assert [answer.id for answer in together] == [str(clip) for clip in clips]
    assert together[0].distribution == pytest.approx(alone.distribution, abs=1e-5)
    for size in (1, 5):
        again = model.predict([str(clip) for clip in clips], text="It is so.", batch_size=size)
        for one, other in zip(again, together, strict=True):
            assert one.distribution == pytest.approx(other.distribution, abs=1e-5)


def test_samples_of_any_type_rate_and_channels_are_the_clip(model: Model, tmp_path: Path) -> None:
    sound = noise(1.5)
    soundfile.write(tmp_path / "a.flac", sound, RATE, subtype="PCM_24")
    expected = model.predict(tmp_path / "a.flac").distribution
    stereo = np.stack([sound, sound])
    whole = (sound * 32767).astype(np.int16)
    for samples in (sound, stereo, stereo.T, sound.astype(np.float64), whole, torch.from_numpy(sound)):
        assert model.predict((samples, RATE)).distribution == pytest.approx(expected, abs=2e-3)


def test_a_long_recording_is_the_mean_of_its_windows_weighted_by_length(model: Model, tmp_path: Path) -> None:
    assert model.window_s == 4.0
    sound = noise(9.0)
    soundfile.write(tmp_path / "long.wav", sound, RATE, subtype="FLOAT")
    parts = [
        model.predict((sound[start * RATE : end * RATE], RATE)) for start, end in ((0, 4), (4, 8), (8, 9))
    ]
    for answer in (model.predict(tmp_path / "long.wav"), model.predict((sound, RATE))):
        assert answer.windows == 3 and "9.0 s heard in 3 windows" in answer.notes[0]
        for name in model.classes:
            mean = sum(w * part.distribution[name] for w, part in zip((4, 4, 1), parts, strict=True)) / 9
            assert answer.distribution[name] == pytest.approx(mean, abs=1e-5)


def test_a_silent_window_is_left_out_and_a_silent_recording_is_refused(model: Model, tmp_path: Path) -> None:
    sound = noise(8.0)
    sound[: 4 * RATE] = 0
    soundfile.write(tmp_path / "half.wav", sound, RATE, subtype="FLOAT")
    answer = model.predict(tmp_path / "half.wav")
    assert answer.windows == 1 and "1 of the windows is silent" in " ".join(answer.notes)
    assert answer.distribution == pytest.approx(
        model.predict((sound[4 * RATE :], RATE)).distribution, abs=1e-5
    )
    with pytest.raises(InputError, match="digitally silent"):
        model.predict((np.zeros(9 * RATE, dtype=np.float32), RATE))


def test_what_cannot_be_asked_about_is_one_line(model: Model, tmp_path: Path) -> None:
    nan = noise(1.0)
    nan[5] = np.nan
    (tmp_path / "page.wav").write_text("<html>")
    for value, message in (
        (tmp_path / "page.wav", "an HTML or XML page instead of sound"),
        ("nowhere.wav", "nowhere.wav: no such file"),
        ((nan, RATE), "NaN or infinite samples"),
        ((noise(0.01), RATE), "shorter than 0.1 s"),
        ((1e4 * noise(1.0), RATE), "not at full scale"),
        ((noise(1.0), 0), "no rate"),
        ((np.zeros((20, 20, 2)), RATE), "an array of"),
        (noise(1.0), "Samples come with their rate"),
        ({"sound": "a.wav"}, "unknown key 'sound'"),
        ({"premise": "A"}, "half of a pair"),
        ({}, "nothing to predict"),
        (3, "expected a path"),
    ):
        with pytest.raises(InputError, match=message) as raised:
            model.predict(value)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match="the text is empty"):
        model.predict(text="  ")
    with pytest.raises(InputError, match="2 inputs but 1 texts"):
        model.predict(["a", "b"], text=["x"])
    with pytest.raises(InputError, match="without reasoning every sample is the same"):
        model.predict(text="It is so.", samples=3)
    with pytest.raises(InputError, match="batch_size must be at least 1"):
        model.predict(text="It is so.", batch_size=0)


def test_a_notebook_shows_bars_in_which_no_text_is_markup() -> None:
    answer = Answer("<b>a</b>", {"<i>": 0.75, "fear": 0.25}, 0.5, "", "<script>", ("fear",), ("a & b",))
    page, text = answer._repr_html_(), str(answer)
    assert "<script>" not in page and "<i>" not in page and "&lt;script&gt;" in page and "a &amp; b" in page
    assert page.count("<svg") == 2 and "fear (never trained)" in page and "src=" not in page
    assert "<i>    75.0%  ██████████████████████████████\n" in text and "entropy 0.81 bits (of 1.00)" in text


def test_an_unread_answer_has_no_distribution() -> None:
    answer = Answer("a", {}, None, "hm", None, unparsed="no object")
    assert (answer.top, answer.entropy, answer.as_dict()["distribution"]) == (None, None, None)
    assert answer._repr_html_() and str(answer)


def test_wrong_settings_are_refused_before_weights_are_read(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected auto, cpu, cuda"):
        load(run, device="gpu7x")
    with pytest.raises(InputError, match="no prompt 'nope'"):
        load(run, prompt="nope")
    with pytest.raises(InputError, match=r"no such folder: .*absent"):
        load(tmp_path / "absent")
    with pytest.raises(InputError, match="a revision is for a name on the hub"):
        load(run, revision="main")


def test_a_text_without_the_form_of_a_pair_is_told_where_pairs_were_trained(run: Path) -> None:
    pairs = load(run, prompt="inference", device="cpu")
    row = {"premise": "A man sleeps.", "hypothesis": "A man rests."}
    assert not any("pairs" in note for note in pairs.predict(row).notes)
    assert any("this text is none" in note for note in pairs.predict(text="A man sleeps.").notes)
    written = pairs.predict(text="Premise: A man sleeps.\nHypothesis: A man rests.").distribution
    assert written == pytest.approx(pairs.predict(row).distribution)


def test_the_command_gives_what_the_model_gives(
    run: Path, model: Model, clips: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict.main([*map(str, clips), "--run", str(run), "--json", "--device", "cpu"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    for row, answer in zip(rows, model.predict(list(clips)), strict=True):
        assert row["distribution"] == pytest.approx(answer.distribution, abs=1e-5)
