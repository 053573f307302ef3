"""Help, lists and completion are what the code has, fit on two screens, and need no library that is slow to import."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import write_help
from lightning.pytorch.cli import LightningArgumentParser

from lalm_ambig import completion
from lalm_ambig import list as listing
from lalm_ambig.__main__ import dispatch
from lalm_ambig.config.run_options import add_run_options
from lalm_ambig.core import door
from lalm_ambig.core.errors import InputError
from lalm_ambig.files.config_files import first_comment, located, named_file, names_of
from lalm_ambig.help.catalogue import FOLDER, KINDS, kinds
from lalm_ambig.help.chosen import choices_of, chosen_help
from lalm_ambig.help.commands import about, closest_command, help_of, overview
from lalm_ambig.help.names import british, spelled
from lalm_ambig.help.rendering import WIDTH

TEXTS = sorted((FOLDER / "texts").glob("*.txt"))
SCREENS = 100
"""Lines of two screens."""


@pytest.mark.filterwarnings("ignore")
def test_the_files_are_as_the_code_has_them() -> None:
    written = write_help.written()
    assert set(written) >= write_help.present(), "run: make help"
    for path, text in written.items():
        assert text.splitlines() == path.read_text("utf-8").splitlines(), f"{path}: run make help"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_each_help_fits_on_two_screens_and_has_examples(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) <= SCREENS
    assert [line for line in lines if len(line) > WIDTH + 2] == []
    command = path.stem.partition(".")[0]
    if "." not in path.stem:
        assert text.count(f"\n  lalm-ambig {command}") + text.count(f"<(lalm-ambig {command}") >= 3
    assert "python -m" not in text.partition("\n\n")[0]


def test_the_help_of_fit_has_every_option_that_a_run_can_be_given() -> None:
    parser = LightningArgumentParser()
    add_run_options(parser)
    options = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
    assert len(options) > 8
    text = str(help_of("fit", ["--help"]))
    assert {name for name in options if not name.endswith("help") and f"\n  {name}" not in text} == set()


def test_each_command_has_a_help_and_a_line() -> None:
    commands = door.command_names()
    assert {"fit", "evaluate", "predict", "curate", "list", "completion"} <= set(commands)
    assert "distributions" not in commands
    assert set(commands) == {path.stem for path in TEXTS if "." not in path.stem}
    for name in commands:
        assert help_of(name, ["--help"]) is not None and f"\n  {name:<12}{about(name)[:20]}" in overview()
        assert "`" not in about(name)
    assert help_of("fit", ["--", "--help"]) is None and help_of("fit", ["--test"]) is None
    assert help_of("curate", ["write", "-h"]) != help_of("curate", ["-h"])


def test_no_help_imports_what_is_slow() -> None:
    code = (
        "import sys; sys.argv = ['lalm-ambig']; from lalm_ambig.__main__ import dispatch\n"
        "for words in ('--help', 'fit --help', 'fit --policy tiny --method GRPO --help', 'list', 'list methods GRPO', "
        "'list presets', 'list keys', 'predict --help', 'curate write --help', 'completion bash'):\n"
        "    dispatch(words.split())\n"
        "slow = {'torch', 'numpy', 'lightning', 'transformers', 'jsonargparse', 'rich'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "--policy qwen2_audio --method=grpoz",
            {"policies": ["Qwen2Audio"], "methods": ["GRPO"], "rewards": ["Agreement", "Format"]},
        ),
        ("--model GRPO", {"methods": ["GRPO"]}),
        ("--preset demo_grpo --model.engine VLLM", {"engines": ["VLLM"], "corpora": ["Demo"]}),
        ("--config configs/data/crema_d.yaml", {"corpora": ["CremaD"]}),
        ("--data.corpus jsonl --model.rewards [shala]", {"corpora": ["jsonl"], "rewards": ["shala"]}),
        ("--test --data.limit 3", {}),
        ("--policy", {}),
    ],
)
def test_what_a_command_line_chooses(words: str, expected: dict[str, list[str]]) -> None:
    chosen = choices_of(words.split())
    assert {kind: chosen.get(kind) for kind in expected} == expected
    assert chosen or not expected


def test_help_after_a_choice_has_every_key_of_it() -> None:
    text = chosen_help(["--policy", "qwen2_audio", "--data", "crema_d", "--method", "grpo", "--help"])
    assert text is not None
    for name, kind in (("Qwen2Audio", "policies"), ("CremaD", "corpora"), ("GRPO", "methods")):
        entry = kinds()[kind].entry(name)
        assert entry is not None and all(f"--{key.name} " in text for key in entry.keys)
    assert "(default: 8; at least 1)" in text and "--data.batch_size" in text
    assert chosen_help(["--help"]) is None and chosen_help(["--test"]) is None
    foreign = chosen_help(["--policy", "my.Own"])
    assert foreign is not None and "for a class of yours: --policy.help my.Own" in foreign


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("--model.help SFT", "SFT: CE on the curated response"),
        ("--model.help", "--model NAME"),
        ("--model.optimiser.help", "[DPO, GRPO, SFT]"),
        ("--model SFT --model.optimiser.help", "(default: 0.0001; positive)"),
        ("--model.optimiser.help --model.help SFT", "--model.optimiser.learning_rate"),
        ("--data.corpus.help Iemocap", "--data.corpus.root"),
        ("--policy.help qwen2_5_omni", "--policy.path"),
        ("--run.help", "--run.name"),
    ],
)
def test_help_of_a_part_in_any_order(words: str, shown: str) -> None:
    text = help_of("fit", words.split())
    assert text is not None and shown in text
    assert help_of("fit", ["--trainer.callbacks.help", "EarlyStopping"]) is None, "Lightning's own"


def test_a_default_that_the_method_fills_in_is_shown_with_its_value() -> None:
    rates = {}
    for name in ("SFT", "GRPO"):
        entry = kinds()["methods"].entry(name)
        assert entry is not None
        rates[name] = next(key.default for key in entry.keys if key.name.endswith("optimiser.learning_rate"))
    assert rates == {"SFT": "0.0001", "GRPO": "2e-05"}


def test_a_corpus_with_settings_of_its_own_has_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    """`Demo` and `JsonLines` take other settings than the fields of the dataclass above them."""
    assert listing.main(["corpora", "Demo"]) == 0
    demo = capsys.readouterr().out
    assert listing.main(["corpora", "JsonLines"]) == 0
    rows = capsys.readouterr().out
    assert "--data.corpus.panel home|abroad" in demo and "skip_bad_rows" not in demo
    assert all(f"--data.corpus.{name} " in rows for name in ("categories", "domain", "allow_outside"))
    assert "--data.corpus.columns.votes " in rows and "VALUE\n" not in rows


def test_every_key_has_a_meaning() -> None:
    silent = [
        key.name
        for kind in kinds().values()
        for entry in kind.entries
        for key in entry.keys
        if not key.meaning
    ]
    assert silent == []


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in (*KINDS, "presets", "hardware", "studies"):
        assert listing.main([kind]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) > 2 and all(len(line) <= WIDTH for line in lines), kind
    for words, shown in (
        (["methods", "GRPO"], "--model.grouping.group_size N"),
        (["method", "grpoz"], "curated: {earns: perfect}"),
        (["keys", "learning_rate"], "DPO, GRPO, SFT:"),
        (["keys", "lr"], "--model.optimiser.learning_rate"),
        (["keys", "optimizer.warm"], "--model.optimiser.warmup_share"),
        (["rewards", "--keys"], "Shala"),
        (["presets", "demo"], "class_path: Tiny"),
        ([], "lalm-ambig list KIND"),
    ):
        assert listing.main(words) == 0
        assert shown in capsys.readouterr().out, words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["metods"], "did you mean methods?"),
        (["GRPO"], "GRPO is one of the methods: list methods GRPO"),
        (["methods", "GRPOO"], "did you mean GRPO?"),
        (["presets", "demo_grp"], "did you mean demo_grpo?"),
        (["keys", "lerning_rate"], "did you mean learning_rate?"),
    ],
)
def test_a_wrong_name_names_the_nearest(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        listing.main(words)


def test_the_front_door(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["help"]):
        assert dispatch(words) == 0 and "commands" in capsys.readouterr().out
    assert dispatch(["help", "fit"]) == 0 and "--data.batch_size" in capsys.readouterr().out
    assert dispatch(["--version"]) == 0 and "lalm_ambig 0" in capsys.readouterr().out
    assert dispatch(["list", "methods"]) == 0 and "GRPO" in capsys.readouterr().out
    for name, message in (
        ("train", "did you mean fit"),
        ("evalute", "did you mean evaluate"),
        ("--policy", "write the command first"),
        ("distributions", "unknown command"),
        ("../fit", "unknown command"),
        ("__main__", "unknown command"),
    ):
        with pytest.raises(InputError, match=message):
            dispatch([name])
    assert closest_command("zzz") is None


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("/env/bin/lalm-ambig", "lalm-ambig fit, lalm-ambig curate write, lalm-ambig list, python -m pip"),
        (
            "/site/lalm_ambig/__main__.py",
            "python -m lalm_ambig fit, python -m lalm_ambig curate write, python -m lalm_ambig list, python -m pip",
        ),
        (
            "/site/lalm_ambig/fit.py",
            "python -m lalm_ambig.fit, python -m data_curation write, python -m lalm_ambig.list, python -m pip",
        ),
        ("/env/bin/pytest", None),
    ],
)
def test_commands_are_named_as_the_user_came(
    program: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "python -m lalm_ambig.fit, python -m data_curation write, lalm-ambig list, python -m pip"
    monkeypatch.setattr(sys, "argv", [program])
    assert door.shown(text) == (expected or text)
    assert door.shown("the lalm-ambig door") == "the lalm-ambig door"


def test_spelling() -> None:
    assert spelled("verbalized", ["logits", "verbalised"]) == "verbalised"
    assert spelled("standardize_audio", ["standardise_audio"]) == "standardise_audio"
    assert spelled("quantise", ["quantize"]) == "quantize"
    assert spelled("group_size", ["group_size", "x"]) == "group_size" and spelled("qx", ["y"]) == "qx"
    assert british("color") == british("colour")


def test_files_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert named_file("policy", "tiny") is not None and named_file("policy", "Tiny") is None
    preset = named_file("preset", "paper/lalm/crema_d_grpoz")
    assert preset is not None and preset.is_file() and named_file("preset", "../base") is None
    assert "demo" in names_of("study") and first_comment(preset).startswith("CREMA-D, GRPOz")
    monkeypatch.chdir(tmp_path)
    assert located(Path("configs/policy/tiny.yaml")).is_file() and located(Path("policy/tiny.yaml")).is_file()
    assert not located(Path("../configs/policy/tiny.yaml")).is_file()
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/tiny.yaml").write_text("a: 1")
    assert located(Path("policy/tiny.yaml")) == Path("policy/tiny.yaml"), "what is there wins"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.main(["bash"]) == 0
    (tmp_path / "completion.bash").write_text(capsys.readouterr().out)
    cases = {
        ("pre",): ["predict"],
        ("fit", "--policy", "qwen2_a"): ["qwen2_audio"],
        ("fit", "--policy", "=", "Tin"): ["Tiny"],
        ("fit", "--model.optimiser.le"): ["--model.optimiser.learning_rate"],
        ("fit", "--model.readout", "v"): ["verbalised"],
        ("fit", "--preset", "paper/lalm/crema_d_grpo"): [
            "paper/lalm/crema_d_grpo",
            "paper/lalm/crema_d_grpoz",
        ],
        ("list", "met"): ["methods", "metrics"],
        ("curate", "write", "--writ"): ["--writer"],
        ("curate", "write", "--writer", "op"): ["openai"],
        ("evaluate", "--corpus", "chaos"): ["chaosnli"],
        ("report", "compl"): ["completion.bash"],
    }
    lines = ["source ./completion.bash"]
    for words in cases:
        quoted = " ".join(f"'{word}'" for word in ("lalm-ambig", *words))
        lines.append(f'COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _lalm_ambig; echo "${{COMPREPLY[*]}}"')
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [line.split() for line in done.stdout.splitlines()] == list(cases.values())


def test_the_other_shells_have_the_same_commands(capsys: pytest.CaptureFixture[str]) -> None:
    completion.main(["zsh"])
    zsh = capsys.readouterr().out
    assert zsh.startswith("#compdef lalm-ambig") and "bashcompinit" in zsh
    completion.main(["fish"])
    fish = capsys.readouterr().out
    for name in door.command_names():
        assert f"-a {name} -d " in fish
    assert "-l model.optimiser.learning_rate" in fish


def test_the_catalogue_is_one_line_per_key() -> None:
    text = (FOLDER / "keys.json").read_text(encoding="utf-8")
    assert json.loads(text)["kinds"]["methods"]["key"] == "model"
    assert sum('"model.optimiser.learning_rate"' in line for line in text.splitlines()) == 3
