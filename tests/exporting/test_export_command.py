"""The command `export`: the files that it writes, its lines, and its refusals."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_stub import hub
from run_folders import MakeRun
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoProcessor

from lalm_ambig import export
from lalm_ambig.core.errors import InputError, run_command
from lalm_ambig.policies.qwen2_audio import Qwen2Audio

pytestmark = pytest.mark.filterwarnings("ignore")


def refused(arguments: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        export.main(arguments)
    assert "\n" not in str(raised.value)


def assert_names_no_folder_of_the_machine(out: Path, *places: Path) -> None:
    content = b"".join(file.read_bytes() for file in out.iterdir())
    for place in (out.parent, *places):
        assert str(place).encode() not in content


def python_of(card: str) -> str:
    match = re.search(r"```python\n(.*?)\n```", card, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_adapter_is_the_runs_own_with_a_card_that_says_how_to_load_it(
    run: Path, tiny_folder: Path, cache_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    assert export.main([str(run), "--adapter", "--out", str(out)]) == 0
    assert_names_no_folder_of_the_machine(out, run, cache_home)
    saved, trained = (load_file(folder / "adapter_model.safetensors") for folder in (out, run / "adapter"))
    assert saved.keys() == trained.keys() and all(torch.equal(saved[key], trained[key]) for key in trained)
    printed = capsys.readouterr().out
    assert re.search(r"compared on 2 prompts of demo, with sound: float32 weights: logits up to \d", printed)
    assert re.search(rf"written: {out} \(\d+\.\d [kM]B, adapter\)\nload it: model = PeftModel", printed)
    card = (out / "README.md").read_text()
    assert card.startswith(f"---\nbase_model: {tiny_folder.name}\nlibrary_name: peft\n---\n")
    assert card.count("## How to ask it") == 1 and "`PeftModel` reads it" not in card
    assert "## Results\n" in card and card.endswith("## To be added before it is passed on\n\n- licence\n")
    assert "Which emotion do listeners hear: anger, disgust" in card and "behind `<answer>`" in card
    scope: dict[str, Any] = {}
    lines = python_of(card).replace(tiny_folder.name, str(tiny_folder)).replace('"mine"', repr(str(out)))
    assert len(lines.splitlines()) == 3
    exec(lines, scope)
    assert type(scope["model"]).__name__ == "PeftModel"


@pytest.mark.parametrize(("dtype", "expected"), [(None, "float32"), ("bfloat16", "bfloat16")])
def test_a_merged_model_is_one_that_needs_nothing_of_the_project(
    run: Path, cache_home: Path, tmp_path: Path, dtype: str | None, expected: str
) -> None:
    out = tmp_path / "mine"
    words = [] if dtype is None else ["--dtype", dtype]
    assert export.main([str(run), "--merged", "--out", str(out), *words]) == 0
    assert_names_no_folder_of_the_machine(out, run, cache_home)
    assert str(AutoConfig.from_pretrained(out).dtype) == f"torch.{expected}"
    assert {str(value.dtype) for value in load_file(out / "model.safetensors").values()} == {
        f"torch.{expected}"
    }
    assert type(AutoProcessor.from_pretrained(out)).__name__ == "Qwen2AudioProcessor"
    card = (out / "README.md").read_text()
    assert "library_name: transformers\n" in card and f"{expected} weights: logits up to" in card
    scope: dict[str, Any] = {}
    exec(python_of(card).replace('"mine"', repr(str(out))), scope)
    assert type(scope["model"]).__name__ == "Qwen2AudioForConditionalGeneration"


def test_a_fully_tuned_run_is_copied_whole(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("full", "--policy.adapter.method=full")
    refused(
        [str(run), "--adapter", "--out", str(tmp_path / "a")],
        "--adapter: full was fully fine-tuned and has no adapter: give --merged",
    )
    assert export.main([str(run), "--merged", "--out", str(tmp_path / "m")]) == 0
    saved, trained = (load_file(folder / "model.safetensors") for folder in (tmp_path / "m", run / "adapter"))
    assert saved.keys() == trained.keys() and all(torch.equal(saved[key], trained[key]) for key in trained)


def test_without_the_corpus_a_fixed_sentence_is_asked(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--policy=tiny", "--method=sft_kl_only", "--data.corpus=crema_d"]
    run = make_run("gone", *chosen, f"--data.corpus.root={tmp_path / 'absent'}")
    (run / "adapter" / "README.md").unlink()
    assert export.main([str(run), "--merged", "--out", str(tmp_path / "m")]) == 0
    printed = capsys.readouterr().out
    assert "the corpus is not at hand: " in printed and "compared on a fixed sentence: float32" in printed
    card = (tmp_path / "m" / "README.md").read_text()
    assert "a run that was not evaluated" in card and "## How to load it" in card
    assert "How to ask it" not in card
    assert str(tmp_path) not in card


def test_what_was_written_wrongly_never_gets_its_name(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Qwen2Audio.save

    def spoilt(self: Qwen2Audio, folder: Path) -> None:
        save(self, folder)
        weights = load_file(folder / "model.safetensors")
        key = next(key for key in weights if key.endswith("layers.0.input_layernorm.weight"))
        save_file(
            {**weights, key: 1.1 * weights[key]}, folder / "model.safetensors", metadata={"format": "pt"}
        )

    monkeypatch.setattr(Qwen2Audio, "save", spoilt)
    refused(
        [str(run), "--merged", "--out", str(tmp_path / "m")],
        r"logits up to .* from the policy's, and .* is allowed \(0.0003 of the largest logit\); nothing was written",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_none_or_has_not_ended_is_one_line(make_run: MakeRun, tmp_path: Path) -> None:
    unfinished = make_run("unfinished", finished=False)
    out = str(tmp_path / "out")
    refused(
        [str(tmp_path), "--merged", "--out", out], "export: .* is not a run folder: it has no config.yaml"
    )
    refused(
        [str(unfinished), "--merged", "--out", out], "export: .*unfinished has no adapter yet.*Run fit again"
    )
    assert not Path(out).exists()


@pytest.mark.parametrize("form", ["--adapter", "--merged"])
def test_an_adapter_of_another_base_is_one_line(
    make_run: MakeRun, run: Path, tmp_path: Path, form: str
) -> None:
    other = make_run(f"other{form}", "--policy.adapter.rank=2", finished=False)
    shutil.copytree(run / "adapter", other / "adapter")
    refused(
        [str(other), form, "--out", str(tmp_path / "out")],
        r"policy.adapter.rank is 2, and the saved adapter's is 4",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "export: nothing to write: give --adapter, --merged or --zero"),
        (["--merged", "--dtype", "int8"], "--dtype: expected one of float32, bfloat16, float16, got 'int8'"),
        (
            ["--adapter", "--dtype", "float16"],
            "--dtype: an adapter is written as it was trained: leave it out",
        ),
        (["--merged", "--private"], "--private: it says how --push makes a repository: add --push"),
        (["--merged", "--push", "x"], "--push: expected OWNER/NAME, got 'x'"),
        (["--merged", "--run", "x"], "--run: it names the run of a DeepSpeed checkpoint: add --zero"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    run: Path, tmp_path: Path, words: list[str], expected: str
) -> None:
    refused([str(run), "--out", str(tmp_path / "out"), *words], expected)


def test_a_folder_that_holds_something_is_not_written_over(run: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    refused([str(run), "--merged", "--out", str(tmp_path)], "--out: .* exists and is not empty")
    refused([str(run), "--merged", "--out", str(tmp_path / "kept")], "is no folder that may be written to")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["kept"]


def test_a_mistake_exits_with_two_and_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run_command(lambda: export.main([str(run), "--out", str(tmp_path / "out")]))
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: export: nothing to write")


def test_what_is_pushed_is_what_was_written(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    command = [str(run), "--adapter", "--out", str(out), "--push", "me/x"]
    monkeypatch.delenv("HF_TOKEN", raising=False)
    refused(command, "--push: there is no token")
    assert not out.exists()
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_real_one")
    with hub() as stub:
        monkeypatch.setenv("HF_ENDPOINT", stub.address)
        assert export.main(command) == 0
        assert stub.files == {file.name: file.read_bytes() for file in out.iterdir()}
        assert f"uploaded: {stub.address}/me/x" in capsys.readouterr().out
        assert '"me/x")' in python_of(stub.files["README.md"].decode())
        shutil.rmtree(out)
        stub.refuse = {"/commit/main": 403}
        refused(command, r"refused me/x \(403\).*stays in .*mine")
        assert (out / "adapter_model.safetensors").is_file()


def test_help_warns_of_pickles_and_gives_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        export.main(["--help"])
    printed = capsys.readouterr().out
    assert "made of pickles" in printed and "--zero --out" in printed and "HF_TOKEN" in printed


@pytest.mark.parametrize("tower", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_adapter_with_a_side_path_says_what_peft_cannot_load_and_is_read_by_its_card(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], tower: bool
) -> None:
    words = [
        "--policy.audio_layers=[0,1]",
        "--policy.seed=1",
        f"--policy.adapter.audio_tower={tower}".lower(),
    ]
    run, out = make_run(f"side-{tower}", *words), tmp_path / "mine"
    assert export.main([str(run), "--adapter", "--out", str(out)]) == 0
    saved, trained = (load_file(folder / "adapter_model.safetensors") for folder in (out, run / "adapter"))
    assert saved.keys() == trained.keys() and all(torch.equal(saved[key], trained[key]) for key in trained)
    printed = capsys.readouterr().out
    assert "plain PEFT refuses this adapter: its side path reads layers 0, 1 of the audio encoder" in printed
    card = (out / "README.md").read_text()
    assert "library_name: lalm_ambig" in card and "Read back with lalm_ambig on 2 prompts" in card
    scope: dict[str, Any] = {}
    exec(python_of(card).replace('"mine"', repr(str(out))), scope)
    assert (scope["policy"].side_layers, scope["policy"].seed) == ((0, 1), 1)


def test_a_side_path_cannot_be_merged(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run("side-merged", "--policy.audio_layers=[1]")
    refused(
        [str(run), "--merged", "--out", str(tmp_path / "m")],
        "--merged: side-merged hears layers 1 of the audio encoder through a side path.*: give --adapter",
    )
