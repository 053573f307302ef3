"""What configurations may name: classes where the parser expects one, of trusted packages, and nothing else."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.config.trust_parser import check_hooks
from lalm_ambig.core.errors import InputError

TINY = "policy: {class_path: lalm_ambig.policies.tiny.Tiny}\n"
DEMO = "data: {corpus: {class_path: lalm_ambig.corpora.demo.Demo}}\n"
SFT = "model: {class_path: lalm_ambig.methods.sft.SFT}\n"
PARTS = TINY + DEMO + SFT
LAMBDA = "lightning.pytorch.callbacks.LambdaCallback"
DDP = "lightning.pytorch.strategies.DDPStrategy"
REFUSED = r"\.Thing is not under lalm_ambig\., lightning\., torch\."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working directory, with a module that makes the file `mark` when it is imported."""
    code = f"open({str(tmp_path / 'mark')!r}, 'w').close()\nclass Thing: pass\ndef thing(*given): pass\n"
    (tmp_path / "foreign_thing.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("foreign_thing", None)


def given(folder: Path, text: str, name: str = "run.yaml") -> str:
    """The option for a file with that text and the parts that it lacks."""
    parts = [part for part in (TINY, DEMO, SFT) if f"{part.partition(':')[0]}:" not in text]
    (folder / name).write_text(text + "".join(parts), encoding="utf-8")
    return f"--config={name}"


def refused(folder: Path, *arguments: str) -> str:
    """The line by which arguments are refused; the planted module was not imported."""
    with pytest.raises(InputError) as raised:
        parse(arguments)
    assert "\n" not in str(raised.value)
    assert not (folder / "mark").exists()
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("# a\npolicy:\n  class_path: foreign_thing.Thing\n", "run.yaml:3: policy.class_path: "),
        ("trainer: {callbacks: '[{class_path: foreign_thing.Thing}]'}\n", "run.yaml:1: trainer.callbacks: "),
        ("policy: |\n  class_path: foreign_thing.Thing\n", "run.yaml:1: policy: "),
        ("trainer:\n  logger:\n  - foreign_thing.Thing\n", "run.yaml:3: trainer.logger: "),
        ("policy: tabs.json\n", "tabs.json:1: class_path: "),
        ("trainer: ~/part\n", "part:2: callbacks.class_path: "),
    ],
)
def test_a_refusal_says_where_and_what_and_how_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, where: str
) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    (folder / "home").mkdir()
    (folder / "home/part").write_text("callbacks:\n- class_path: foreign_thing.Thing\n")
    (folder / "tabs.json").write_text('{\t"class_path":\t"foreign_thing.Thing"}')
    line = refused(folder, given(folder, text))
    assert where in line
    assert "foreign_thing.Thing is not under lalm_ambig., lightning., torch.: " in line
    assert line.endswith("Read it, and if you trust it add --allow-any-class.")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--policy=foreign_thing.Thing"],
        ["--policy.class_path", "foreign_thing.Thing"],
        ["--trainer.callbacks+=foreign_thing.Thing"],
        ["--policy.help=foreign_thing.Thing"],
        ['--trainer={"logger": "foreign_thing.Thing"}'],
    ],
)
def test_options_are_looked_at_too(folder: Path, arguments: list[str]) -> None:
    line = refused(folder, given(folder, ""), *arguments)
    assert line.startswith(f"{arguments[0].partition('=')[0]}: foreign_thing.Thing is not under")


@pytest.mark.parametrize(
    "text",
    [
        "data: {rationales: test.jsonl, prompt: os.path, corpus: {class_path: lalm_ambig.corpora.demo.Demo}}\n",
        "data: {rationales: runs.jsonl, glosses: foreign_thing.Thing, corpus: lalm_ambig.corpora.demo.Demo}\n",
        "run: {name: foreign_thing.Thing, root: datasets.jsonl}\n",
        "run: {name: '{class_path: foreign_thing.Thing}'}\n",
        "policy: lalm_ambig.policies.tiny.Tiny\ntrainer: {accelerator: auto, strategy: auto, profiler: simple}\n",
        "trainer: {logger: {class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: os.path}}}\n",
        "trainer: {callbacks: [{class_path: lightning.pytorch.callbacks.LearningRateMonitor}, EarlyStopping]}\n"
        "# a comment that names foreign_thing.Thing\n",
        "trainer: part.yaml\n",
    ],
)
def test_texts_are_texts_whatever_lies_in_the_working_directory(folder: Path, text: str) -> None:
    for name in ("auto", "simple", "test.jsonl", "os.path", "lalm_ambig.policies.tiny.Tiny", "EarlyStopping"):
        (folder / name).write_text("class_path: foreign_thing.Thing\n")
    for name in ("runs", "datasets"):
        (folder / name).mkdir()
    (folder / "part.yaml").write_text("max_epochs: 2\n")
    text = text.replace("EarlyStopping]", "{class_path: EarlyStopping, init_args: {monitor: x}}]")
    assert parse([given(folder, text)]).resolved()
    assert not (folder / "mark").exists()


def test_a_value_that_may_be_anything_is_data(folder: Path) -> None:
    text = "policy: {class_path: lalm_ambig.policies.causal_lm.CausalLM, init_args: {path: somewhere}}\n"
    text = text.replace("somewhere", "somewhere, template_arguments: {x: {class_path: foreign_thing.Thing}}")
    policy = parse([given(folder, text)]).model.policy
    assert policy.chat_settings.arguments == {"x": {"class_path": "foreign_thing.Thing"}}
    assert not (folder / "mark").exists()


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("on_fit_start", "torch.hub.load", "torch.hub.load may not be called: .*add --allow-any-class"),
        ("on_fit_start", "torch.load", "torch.load may not be called"),
        ("on_fit_start", "torch.utils.cpp_extension.load", "may not be called"),
        ("on_fit_start", "torch.distributed.fsdp.wrap.nn.Module", "may not be called"),
        (
            "on_fit_start",
            "lalm_ambig.files.places.os.system",
            "is posix.system, which is not under lalm_ambig",
        ),
        ("on_fit_start", "os.system", "os.system is not under"),
        ("on_fit_start", "{class_path: torch.package.PackageImporter}", "may not be called"),
        ("on_fit_start", "{class_path: torch.nn.Linear, init_args: {in_features: 1}}", "may not be called"),
        ("on_fit_start", "torch.__dict__.x", "part of how Python works"),
    ],
)
def test_functions_of_trusted_packages_are_listed(
    folder: Path, place: str, value: str, expected: str
) -> None:
    text = f"trainer: {{callbacks: [{{class_path: {LAMBDA}, init_args: {{{place}: {value}}}}}]}}\n"
    with pytest.raises(InputError, match=rf"run\.yaml:1: trainer\.callbacks.*: .*{expected}"):
        parse([given(folder, text)])


@pytest.mark.parametrize(
    "value",
    [
        "torch.distributed.algorithms.ddp_comm_hooks.default_hooks.fp16_compress_hook",
        "torch.distributed.algorithms.ddp_comm_hooks.default_hooks.bf16_compress_hook",
    ],
)
def test_listed_functions_are_taken(folder: Path, value: str) -> None:
    text = f"trainer: {{strategy: {{class_path: {DDP}, init_args: {{ddp_comm_hook: {value}}}}}}}\n"
    strategy = parse([given(folder, text)]).config_init["trainer"]["strategy"]
    assert vars(strategy)["_ddp_comm_hook"].__name__ == value.rpartition(".")[2]


@pytest.mark.parametrize(
    "value",
    ["lalm_ambig.config.cli.parse", "lalm_ambig.policies.tiny.build", "lalm_ambig.files.places", "torch.os"],
)
def test_where_a_class_is_expected_nothing_else_is_taken(folder: Path, value: str) -> None:
    with pytest.raises(InputError, match=r"run\.yaml:1: policy: .*(is a \w+ and no class|is not under)"):
        parse([given(folder, f"policy: {value}\n")])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("fifo.yaml", "fifo.yaml: it is no file"),
        ("/dev/stdin", "policy"),
        ("/dev/zero", "policy"),
        ("-", "policy"),
        ("memory://part.yaml", "policy"),
        ("http://localhost:1/part.yaml", "policy"),
        ("simplecache::memory://part.yaml", "policy"),
        ("folder.yaml", "policy"),
        ("missing.yaml", "no such file: missing.yaml"),
        ("latin.yaml", "latin.yaml:1: not UTF-8"),
        ("wide.yaml", "wide.yaml: not UTF-8 but UTF-16"),
    ],
)
def test_what_is_no_plain_file_is_not_opened(folder: Path, value: str, expected: str) -> None:
    (folder / "latin.yaml").write_bytes("class_path: é\n".encode("latin-1"))
    (folder / "wide.yaml").write_bytes("class_path: foreign_thing.Thing\n".encode("utf-16"))
    (folder / "folder.yaml").mkdir()
    os.mkfifo(folder / "fifo.yaml")
    assert expected in refused(folder, given(folder, f"policy: '{value}'\n"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"])
def test_a_configuration_that_is_no_utf_8_is_refused(folder: Path, encoding: str) -> None:
    (folder / "run.yaml").write_bytes(f"# é\n{PARTS}".encode(encoding))
    assert "run.yaml" in refused(folder, "--config=run.yaml")


def test_variables_of_the_environment_set_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "hidden.yaml").write_text("policy: foreign_thing.Thing\n")
    monkeypatch.setenv("JSONARGPARSE_DEFAULT_ENV", "true")
    monkeypatch.setenv("PL_CONFIG", str(folder / "hidden.yaml"))
    monkeypatch.setenv("PL_DATA__LIMIT", "7")
    assert parse([given(folder, "")]).datamodule.limit is None
    assert os.environ["JSONARGPARSE_DEFAULT_ENV"] == "true"


def test_a_module_beside_a_configuration_is_not_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook Python looks in the working directory, which the parser makes the configuration's folder."""
    there = folder / "there"
    there.mkdir()
    for name in ("mlflow", "comet_ml", "neptune"):
        (there / f"{name}.py").write_text((folder / "foreign_thing.py").read_text())
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (there / "run.yaml").write_text("trainer: {logger: lightning.pytorch.loggers.MLFlowLogger}\n" + PARTS)
    refused(folder, "--config=there/run.yaml")
    assert sys.path[0] == ""


@pytest.mark.parametrize(
    "address", ["reference://::file:///x.json", "zip://a::file:///x.zip", "memory://x", "dir::/x"]
)
@pytest.mark.parametrize(
    "text",
    [
        "trainer: {{default_root_dir: '{}'}}\n",
        "trainer: {{callbacks: [{{class_path: ModelCheckpoint, init_args: {{dirpath: '{}'}}}}]}}\n",
        "trainer: {{profiler: {{class_path: AdvancedProfiler, init_args: {{dirpath: '{}'}}}}}}\n",
    ],
)
def test_a_file_system_inside_another_is_refused(folder: Path, text: str, address: str) -> None:
    line = refused(folder, given(folder, text.format(address)))
    assert line.startswith("run.yaml:1: trainer.") or f"{folder}/run.yaml:1: trainer." in line
    assert "is no plain address" in line


def test_a_few_lines_never_stand_for_more_than_memory_holds(folder: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    bomb = "\n".join(lines) + "\n"
    (folder / "bomb.yaml").write_text(bomb)
    assert "more than 1,000,000 values" in refused(folder, "--config=bomb.yaml")
    assert "more than 1,000,000 values" in refused(folder, given(folder, "policy: bomb.yaml\n"))
    flow = ", ".join(line.replace(": ", ": ", 1) for line in lines)
    for place in ("policy", "trainer.devices", "data.batch_size", "trainer.callbacks"):
        assert "more than 1,000,000 values" in refused(folder, given(folder, ""), f"--{place}={{{flow}}}")
    assert "more than 1,000,000 values" in refused(
        folder, given(folder, ""), f'--trainer.devices=["{{{flow}}}"]'
    )


@pytest.mark.parametrize(
    "text", ["a: !!int x\n", "a: 2024-13-45\n", "a: !!bool x\n", f"a: {'9' * 5000}\n", "[" * 3000]
)
@pytest.mark.parametrize("where", ["run.yaml", "part.yaml"])
def test_values_that_the_library_trips_over_are_one_line(folder: Path, text: str, where: str) -> None:
    (folder / "part.yaml").write_text(text)
    own = given(folder, "policy: part.yaml\n") if where == "part.yaml" else "--config=own.yaml"
    (folder / "own.yaml").write_text(text)
    refused(folder, own)


@pytest.mark.parametrize("text", ["? \n", "1: 2\n", "null\n", "- a\n"])
def test_keys_that_are_no_texts_are_one_line(folder: Path, text: str) -> None:
    (folder / "run.yaml").write_text(text)
    assert "run.yaml: a configuration file holds keys and values" in refused(folder, "--config=run.yaml")


def test_the_parser_of_this_version_asks_before_it_imports_and_opens() -> None:
    assert check_hooks()


def test_a_parser_that_does_not_ask_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lalm_ambig.config import trust as configuration_trust
    from lalm_ambig.config import trust_parser

    monkeypatch.setattr(trust_parser, "IMPORTERS", ())
    monkeypatch.setattr(configuration_trust, "_hooked", check_hooks)
    assert "jsonargparse" in refused(folder, given(folder, ""))


def test_shipped_files_keep_their_meaning_beside_planted_names(folder: Path) -> None:
    for name in ("base", "demo", "auto", "cpu"):
        (folder / name).write_text("class_path: foreign_thing.Thing\n")
    assert parse([f"--config={config_folder() / 'preset/demo.yaml'}"]).datamodule.corpus.name == "demo"
