"""`predict` for many inputs: where they come from, what is written, and how a stopped command goes on."""

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from lalm_ambig import predict
from lalm_ambig.core.errors import InputError
from lalm_ambig.inference import outputs
from lalm_ambig.inference.inputs import read_inputs

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def folder(demo_root: Path, tmp_path: Path) -> Path:
    """Three clips, one of them in a folder inside, and a page that is named like a clip."""
    out = tmp_path / "clips"
    (out / "inner").mkdir(parents=True)
    for number, clip in enumerate(sorted((demo_root / "AudioWAV").glob("*.wav"))[:3]):
        shutil.copy(clip, out / ("inner" if number == 2 else "") / f"{number}.wav")
    (out / "page.wav").write_text("<html>not found</html>")
    (out / "._0.wav").write_bytes(b"left by a Mac")
    return out


def ask(run: Path, *words: object) -> int:
    return predict.main([*map(str, words), "--run", str(run), "--device", "cpu"])


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_folder_is_searched_whole_and_a_bad_file_does_not_stop_the_rest(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.csv"
    assert ask(run, folder, "--out", out) == 1
    told = capsys.readouterr().err
    assert "answered 3: " in told and "refused 1:" in told and "page.wav: an HTML or XML page" in told
    assert "class mass below 10% in 3 of 3" in told
    rows = read(out)
    assert [row["id"] for row in rows] == [str(folder / name) for name in ("0.wav", "1.wav", "inner/2.wav")]
    assert list(rows[0])[:2] == ["id", "top"] and list(rows[0])[-1] == "notes"
    shares = {
        name: float(rows[0][name]) for name in ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
    }
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5) and rows[0]["top"] == max(
        shares, key=lambda n: shares[n]
    )
    assert "trained" not in rows[0]["notes"] and "less than 10%" in rows[0]["notes"]


def test_a_stopped_command_goes_on_and_another_policy_or_input_is_refused(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.jsonl"
    assert ask(run, folder / "0.wav", folder / "1.wav", "--out", out) == 0
    first = out.read_text().splitlines()
    out.write_text(first[0] + "\n" + first[1][:40])  # the power went
    assert ask(run, folder / "0.wav", folder / "1.wav", "--out", out) == 0
    assert "answered 2 (1 of them before)" in capsys.readouterr().err
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert again == [json.loads(line) for line in first]
    with pytest.raises(InputError, match=r"answers of another policy or by other options \(classes"):
        ask(run, folder / "0.wav", "--out", out, "--classes", "fear,anger")
    shutil.copy(folder / "inner/2.wav", folder / "1.wav")
    assert ask(run, folder / "0.wav", folder / "1.wav", "--out", out) == 1
    assert "it has changed since it was answered" in capsys.readouterr().err
    (tmp_path / "mine.csv").write_text("id,top\n")
    with pytest.raises(InputError, match="is there and was not begun by predict"):
        ask(run, folder / "0.wav", "--out", tmp_path / "mine.csv")


def test_rows_without_votes_become_a_parquet_in_their_order(run: Path, folder: Path, tmp_path: Path) -> None:
    rows = [
        {"categories": ["anger", "fear"]},
        {"audio": "inner/2.wav", "text": "It is so.", "votes": {"fear": 3}},
        {"id": 7, "text": "It is so."},
        {"premise": "A", "hypothesis": "B"},
    ]
    source, out = folder / "rows.jsonl", tmp_path / "a.parquet"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert ask(run, source, "--out", out, "--batch-size", "2") == 0
    table = pyarrow.parquet.read_table(out).to_pylist()
    assert [row["id"] for row in table] == ["inner/2.wav", "7", f"{source}:4"]
    assert all(sum(row[name] for name in ("anger", "fear")) < 1 for row in table)
    assert table[0]["response"] == "<answer>"


def test_inputs_of_every_kind_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "t.csv").write_text('file,text,who\n0.wav,hello,me\n,"two\nlines",\nnone.wav,,\n')
    (folder / "t.tsv").write_text("id\tpremise\thypothesis\nx\tA\tB\ny\tA\n")
    globbed = read_inputs([str(folder / "**" / "*.wav"), str(folder / "0.wav")])
    assert len(globbed.questions) == 4 and globbed.twice == 1 and len(globbed.notes) == 1
    table = read_inputs([str(folder / "t.csv")])
    assert [(one.id, one.text) for one in table.questions] == [
        ("0.wav", "hello"),
        (f"{folder / 't.csv'}:3", "two\nlines"),
        ("none.wav", None),
    ]
    assert table.questions[0].audio == folder / "0.wav" and "not used: who" in table.notes[0]
    pairs = read_inputs([str(folder / "t.tsv")])
    assert (
        pairs.questions[0].text == "Premise: A\nHypothesis: B"
        and "another number of cells" in pairs.refused[0].why
    )
    lines = f'{folder / "0.wav"}\n{{"text": "It is so."}}\n{{"id": "z"}}\n\n'.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
    given = read_inputs(["-"])
    assert [one.id for one in given.questions] == [str(folder / "0.wav"), "standard input:2"]
    assert "a row needs one of audio, text" in given.refused[0].why


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([""], "an input is empty"),
        (["empty"], "no sound file in .*empty"),
        (["*.flac"], "no file matches"),
        (["absent.jsonl"], "no such file: absent.jsonl"),
        (["blank.jsonl"], "it holds no input|is empty"),
        (["semi.csv"], "separated by semicolons"),
        (["a.wav", "--out", "a.txt"], "expected a name that ends with .jsonl, .csv, .parquet"),
        (["a.wav", "b.wav", "--text", "hi"], "one text for 2 inputs"),
        (["a.wav", "--batch-size", "0"], "--batch-size: expected a number from 1 on"),
        (["a.wav", "--samples", "0"], "--samples: expected a number from 1 on"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("blank.jsonl").write_text("\n")
    Path("semi.csv").write_text("a;b\n1;2\n")
    with pytest.raises(InputError, match=message) as raised:
        predict.main([*words, "--run", str(tmp_path / "no-run")])
    assert "\n" not in str(raised.value)


def test_a_class_with_the_name_of_a_column_has_a_column_of_its_own(tmp_path: Path) -> None:
    file = outputs.AnswerFile(tmp_path / "a.csv", ("top", "fear"), {})
    assert file.columns == [
        "id",
        "top",
        "class top",
        "fear",
        "entropy_bits",
        "class_mass",
        "response",
        "notes",
    ]


def test_a_second_predict_of_one_file_is_refused_before_anything_is_loaded(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.jsonl"
    with outputs.sole_writer(out), monkeypatch.context() as patch:
        patch.setattr(predict, "open_model", None)
        with pytest.raises(InputError, match=r"--out: another predict writes to .*a\.jsonl\. Wait for it"):
            ask(run, folder, "--out", out)
    assert not out.exists()
    assert ask(run, folder, "--out", out) == 1
    assert sorted(path.name for path in tmp_path.glob("a.jsonl*")) == ["a.jsonl", "a.jsonl.about.json"]
