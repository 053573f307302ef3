"""Shipped files parse; whatever is wrong with a configuration is one readable line."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ended import ended

from lalm_ambig.config.class_names import class_path_of
from lalm_ambig.config.cli import Cli, parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import Corpus
from lalm_ambig.methods.base import Method
from lalm_ambig.methods.sft import SFT
from lalm_ambig.policies.base import Policy
from lalm_ambig.rewards.base import Reward

CONFIGS = config_folder()
POLICY, DATA, METHOD = CONFIGS / "policy/tiny.yaml", CONFIGS / "data/demo.yaml", CONFIGS / "method/sft.yaml"
STACKED = ("paper", "preset")
SHIPPED = sorted(path.relative_to(CONFIGS) for path in CONFIGS.rglob("*.yaml") if path.parent.name != "study")
"""Every file for `fit --config`; those of studies name such files."""
EVERY_FILE = pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path, id=str(path), marks=[pytest.mark.slow] if path.parts[0] in STACKED and n % 4 else []
        )
        for n, path in enumerate(SHIPPED)
    ],
)
"""`make test` takes all parts, and a quarter of what is made of them."""
NEEDED = {"data": ["--data.corpus.root", "somewhere"], "policy": [], "method": []}
TEXT = ["--policy=CausalLM", "--policy.path=x"]
REST = ["--data=demo", "--method=sft_kl_only"]


@pytest.fixture(autouse=True)
def cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def configs(*files: Path) -> list[str]:
    return [f"--config={file}" for file in files]


def write(folder: Path, text: str, name: str = "own.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def section(content: Any, *keys: str) -> Any:
    for key in keys:
        content = content.get(key, {}) if isinstance(content, dict) else {}
    return content


def names_class(value: Any) -> bool:
    return isinstance(value, str) or "class_path" in value


@cache
def shipped(path: Path) -> Cli:
    """A shipped file as it is meant: alone where it is whole, otherwise with the tiny demo's other kinds."""
    content = yaml.safe_load((CONFIGS / path).read_text())
    kinds = ((POLICY, ["policy"]), (DATA, ["data", "corpus"]), (METHOD, ["model"]))
    others = [file for file, keys in kinds if not names_class(section(content, *keys))]
    with_root = "data" in content and section(content, "data", "corpus") != "Demo"
    root = ["--data.corpus.root", "somewhere"] if with_root else []
    policy = section(content, "policy")
    without_path = "Qwen2Audio" in str(policy) and "path" not in policy["init_args"]
    missing = ["--policy.path", "somewhere"] if without_path else []
    return parse([*configs(*others, CONFIGS / path), *root, *missing])


def covers(found: Any, given: Any, base: type[Any] | None = None) -> bool:
    """Whether a resolved value is what a file gives: short names are whole, and defaults are filled in."""
    if isinstance(given, dict):
        return all(covers(found[key], value, base) for key, value in given.items())
    if isinstance(given, list):
        return len(found) == len(given) and all(
            covers(*pair, Reward) for pair in zip(found, given, strict=True)
        )
    path = class_path_of(base, given) if isinstance(given, str) else None
    return found == given or (path is not None and path in (found, section(found, "class_path")))


@EVERY_FILE
def test_every_shipped_file_parses_and_is_what_it_says(path: Path) -> None:
    cli = shipped(path)
    content = yaml.safe_load((CONFIGS / path).read_text())
    resolved = yaml.safe_load(cli.resolved())
    assert covers(resolved["policy"], content.get("policy", {}), Policy)
    assert covers(resolved["model"], content.get("model", {}), Method)
    assert covers(resolved["data"], content.get("data", {}), Corpus)
    assert covers(resolved["trainer"], content.get("trainer", {}))


def test_an_option_that_names_a_class_stands_for_its_file() -> None:
    cli = parse([*configs(POLICY), "--data.corpus", "demo", "--model=grpo"])
    resolved = yaml.safe_load(cli.resolved())
    assert resolved["model"]["class_path"].endswith("GRPO")
    assert resolved["data"]["corpus"]["class_path"].endswith("Demo")


def test_one_reward_without_brackets_says_how_a_list_is_written() -> None:
    words = [*configs(POLICY, DATA), "--model", "GRPO", "--model.rewards", "shala"]
    with pytest.raises(InputError, match=r"model.rewards: expected a list, got shala: write \[shala\]"):
        parse(words)


def test_the_defaults_are_the_tiny_model_on_the_demo() -> None:
    cli = parse([])
    assert cli.model.policy.description.startswith("tiny")
    assert cli.datamodule.corpus.name == "demo"
    assert isinstance(cli.model, SFT)


def test_a_later_file_and_an_option_win(tmp_path: Path) -> None:
    own = write(tmp_path, "data:\n  batch_size: 3\n  eval_batch_size: 5\n")
    cli = parse([*configs(POLICY, DATA, METHOD, own), "--data.eval_batch_size", "7"])
    assert (cli.datamodule.batch_size, cli.datamodule.eval_batch_size) == (3, 7)


def test_a_class_in_place_of_the_demos_takes_none_of_its_settings() -> None:
    init = yaml.safe_load(parse([*TEXT, *REST]).resolved())["policy"]["init_args"]
    assert init["adapter"] is None


@pytest.mark.parametrize(
    "spelling", ["--policy.adapter.rank={}", "--policy.init_args.adapter.init_args.rank={}"]
)
@pytest.mark.parametrize("number", [4, 32])
@pytest.mark.parametrize("first", [True, False])
def test_an_option_stays_when_the_demos_settings_go(spelling: str, number: int, first: bool) -> None:
    option, named = spelling.format(number), [*TEXT, "--data=demo"]
    rate = "--model.optimiser.learning_rate=0.001"  # as the demo has it
    words = [option, rate, *named, "--model=GRPO"] if first else [*named, "--model=GRPO", option, rate]
    cli = parse(words)
    adapter = cli.model.policy.adapter
    assert (adapter.rank, adapter.alpha, adapter.projector) == (number, 16, False)
    assert cli.model.optimiser.learning_rate == 0.001


@pytest.mark.parametrize("flag", [("--config", "{}"), ("--config={}",), ("-c", "{}"), ("-c={}",), ("-c{}",)])
def test_an_option_wins_over_a_file_wherever_it_stands(tmp_path: Path, flag: tuple[str, ...]) -> None:
    own = write(
        tmp_path, "data:\n  batch_size: 3\n  eval_batch_size: 5\n  corpus:\n    init_args:\n      seed: 4\n"
    )
    options = ["--data.eval_batch_size", "7", "--data.corpus=Demo", "--data.corpus.seed=9", "--model", "GRPO"]
    file = [word.format(own) for word in flag]
    cli = parse([*options[:2], *configs(POLICY, DATA), *options[2:], *file])
    assert (cli.datamodule.batch_size, cli.datamodule.eval_batch_size) == (3, 7)
    assert cli.datamodule.corpus.seed == 9
    assert cli.resolved() == parse([*configs(POLICY, DATA), *file, *options]).resolved()


@pytest.mark.parametrize(
    "text",
    [
        "data:\n  corpus:\n    init_args:\n      seed: 4\n",
        "data:\n  corpus:\n    seed: 4\n",
        "policy:\n  rank: 4\n",
        "model:\n  init_args:\n    rewards: [shala]\n",
        "model: {}\n",
    ],
)
def test_settings_before_their_class_say_where_to_put_them(tmp_path: Path, text: str) -> None:
    key = "data.corpus" if text.startswith("data") else text.partition(":")[0]
    with pytest.raises(
        InputError, match=f"{key}: settings of no class: name its class_path, or put this file"
    ):
        parse(configs(write(tmp_path, text), POLICY, DATA, METHOD))


@pytest.mark.parametrize("value", ["7", "[1]", "true"])
def test_a_value_that_is_no_class_says_which_there_are(tmp_path: Path, value: str) -> None:
    own = write(tmp_path, f"model: {value}\n")
    with pytest.raises(InputError, match=r"model: expected one of .*GRPO.*, with its settings; got"):
        parse(configs(POLICY, DATA, METHOD, own))


def test_what_was_resolved_parses_to_the_same_again(tmp_path: Path) -> None:
    cli = parse(["--data.limit", "5", "--trainer.gradient_clip_val", "null"])  # base.yaml has a number there
    again = parse(configs(write(tmp_path, cli.resolved())))
    assert again.resolved() == cli.resolved()
    assert again.identity() == cli.identity()


def test_the_identity_follows_what_changes_the_result_and_nothing_else() -> None:
    first = parse([]).identity()
    for same in (["--run.root", "x"], ["--run.name", "y"], ["--trainer.enable_progress_bar", "false"]):
        assert parse(same).identity() == first
    for other in (["--seed_everything", "1"], ["--data.limit", "5"], ["--trainer.max_epochs", "77"]):
        assert parse(other).identity() != first


def test_secrets_are_not_kept() -> None:
    from lalm_ambig.config.cli import _without_secrets

    kept = _without_secrets({"api_key": "k", "a": [{"hub_token": "t", "tokens": 3}], "PASSWORD": "p"})
    assert kept == {"api_key": None, "a": [{"hub_token": None, "tokens": 3}], "PASSWORD": None}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data.batch_sise", "3"], r"unknown key data.batch_sise: did you mean --data.batch_size\?"),
        (["--trainer.max_epoch", "3"], r"unknown key trainer.max_epoch: did you mean --trainer.max_epochs\?"),
        (["--lr", "1e-3"], r"unknown key lr: did you mean --model.optimiser.learning_rate\?"),
        (
            ["--model.learning_rate=1"],
            r"model.learning_rate of SFT: did you mean --model.optimiser.learning_rate",
        ),
        (["--model.optimiser.lerning_rate=1"], r"did you mean --model.optimiser.learning_rate\?"),
        (["--policy.dtype=float32"], "unknown key policy.dtype of Tiny, though other classes have it"),
        (["--data.corpus.sed=1"], r"data.corpus.sed of Demo: did you mean --data.corpus.seed\?"),
        (["configs/method/sft.yaml"], r"stands by itself: did you mean --config configs/method/sft.yaml\?"),
        (
            ["--model=DPOO", "--policy=tiny", "--data=demo"],
            r"model: unknown class 'DPOO': did you mean DPO\? Expected one of DPO, GRPO, SFT; or",
        ),
        (["--policy=Qwen3Audio"], r"did you mean Qwen2Audio\? Expected one of .*Qwen2_5Omni"),
        (["--data.corpus=CremaDD", *REST[1:], "--policy=tiny"], r"did you mean CremaD\?"),
        (["--model.readout=verbal"], "model.readout: expected one of logits, verbalised, got verbal"),
        (["--data.eval_batch_size=automatic"], "expected one of auto, a whole number, got automatic"),
        (["--policy.adapter.method=qlora"], "expected one of lora, full, got qlora"),
        (["--trainer.precision=8"], "expected one of 32-true, bf16-mixed, 16-mixed, auto, got 8"),
        (
            ["--data.corpus=crema_d", *REST[1:], "--policy=tiny"],
            r"--data.corpus.root DIR is missing: .* of crema_d. CREMA-D .*Git LFS",
        ),
        (
            ["--data.corpus=jsonl", *REST[1:], "--policy=tiny"],
            r"--data.corpus.root DIR is missing: .* of jsonl",
        ),
        (["--data.batch_size"], "data.batch_size: no value is given"),
        (["--model.optimiser.learning_rate=fast"], "learning_rate: expected a number, got fast"),
        (["--data.batch_size", "many"], r"data.batch_size: expected a whole number, got many"),
        (["--data.batch_size", "0"], "data: batch_size must be at least 1, got 0"),
        (["--data.limit", "0"], "data: limit must be at least 1, got 0"),
        (["--model.objective.ce_weight", "-1"], r"model.objective: ce_weight must be at least 0, got -1"),
        (["--policy.adapter.rank", "0"], "policy.adapter: rank must be at least 1, got 0"),
        (["--run.checkpoint_steps", "0"], "run: checkpoint_steps must be at least 1, got 0"),
        (["--config", "nowhere.yaml"], "--config: no such file: nowhere.yaml"),
        (
            ["--config", str(POLICY)],
            r"no data and no method are chosen: add --data NAME .*crema_d",
        ),
        ([*configs(POLICY, DATA)], r"no method is chosen: add --method NAME .*sft_kl_only"),
        (["stray"], "stray stands by itself: every setting is --KEY VALUE"),
    ],
)
def test_a_wrong_option_is_one_line(arguments: list[str], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        parse(arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "model:\n  init_args:\n    reasonning: true\n",
            "model.reasonning of SFT: did you mean --model.reasoning",
        ),
        ("model:\n  class_path: lalm_ambig.methods.sft.Nope\n", "has no attribute 'Nope'"),
        ("model:\n  class_path: lalm_ambig.core.types.Item\n", "does not correspond to a subclass of Method"),
        ("trainer:\n  max_epoch: 3\n", "max_epoch"),
        ("modle:\n  a: 1\n", r"modle\.a"),
        ("run:\n  nmae: x\n", "nmae"),
        ("a: [1\n", r"own.yaml: not a YAML file"),
        ("- 1\n", r"own.yaml: a configuration file holds keys and values"),
        ("", r"own.yaml: the file is empty"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        parse(configs(POLICY, DATA, METHOD, write(tmp_path, text)))
    assert "\n" not in str(raised.value)


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that leaves a mark when it is imported."""
    mark = tmp_path / "imported"
    (tmp_path / "foreign_module.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return mark


@pytest.mark.parametrize(
    "text",
    [
        "policy:\n  class_path: foreign_module.Thing\n",
        "policy: foreign_module.Thing\n",
        "trainer:\n  callbacks:\n    - foreign_module.Thing\n",
        "trainer:\n  logger:\n    - class_path: foreign_module.Thing\n",
        "policy: other.yaml\n",
        "trainer:\n  callbacks: list.yaml\n",
        "config: whole.yaml\n",
    ],
)
@pytest.mark.parametrize("flag", ["--config={}", "-c={}", "-c{}"])
def test_foreign_code_is_refused_before_it_runs(tmp_path: Path, foreign: Path, text: str, flag: str) -> None:
    write(tmp_path, "class_path: foreign_module.Thing\n", "other.yaml")
    write(tmp_path, "- class_path: foreign_module.Thing\n", "list.yaml")
    write(tmp_path, "policy:\n  class_path: foreign_module.Thing\n", "whole.yaml")
    own = write(tmp_path, text)
    with pytest.raises(
        InputError, match=r"foreign_module.Thing is not under lalm_ambig., lightning., torch."
    ):
        parse([*configs(POLICY, DATA, METHOD), flag.format(own)])
    assert not foreign.exists()


def test_a_file_given_for_a_part_is_looked_at_too(tmp_path: Path, foreign: Path) -> None:
    own = write(tmp_path, "class_path: foreign_module.Thing\n")
    for arguments in (["--policy", str(own)], [f"--policy={own}"]):
        with pytest.raises(InputError, match=r"foreign_module\.Thing is not under"):
            parse([*configs(DATA, METHOD, POLICY), *arguments])
    assert not foreign.exists()


def test_foreign_code_runs_where_the_user_says_so(tmp_path: Path, foreign: Path) -> None:
    own = write(tmp_path, "policy:\n  class_path: foreign_module.Thing\n")
    with pytest.raises(InputError, match="does not correspond to a subclass of Policy"):
        parse([*configs(DATA, METHOD, own), "--allow-any-class"])
    assert foreign.exists()


def test_file_names_are_not_taken_for_code(tmp_path: Path) -> None:
    own = write(tmp_path, "data:\n  prompt: own.prompt.txt\n  rationales: more.jsonl\nrun:\n  root: runs.d\n")
    assert str(parse(configs(POLICY, DATA, METHOD, own)).datamodule.rationales_file) == "more.jsonl"


@pytest.mark.filterwarnings("ignore:.*found in sys.modules.*:RuntimeWarning")  # runpy's
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data.batch_sise", "3"], "unknown key data.batch_sise: did you mean --data.batch_size?"),
        (["--config", "nowhere.yaml"], "no such file: nowhere.yaml"),
    ],
)
def test_the_command_says_so_in_one_line_and_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ended("lalm_ambig.fit", *arguments)
    assert done.code == 2
    assert expected in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
