"""The engine as a setting: short names, its own settings, and a run's identity."""

from pathlib import Path

import pytest

from lalm_ambig.config.class_names import class_path_of
from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.rollouts.engines.base import Engine
from lalm_ambig.rollouts.engines.in_process import InProcess
from lalm_ambig.rollouts.engines.vllm import VLLM

GRPO = f"--config={config_folder() / 'preset/demo_grpo.yaml'}"
ON_SERVERS = ["--model.engine=VLLM", "--model.engine.urls=[http://one:8000,http://two:8000/]"]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(("name", "cls"), [("VLLM", VLLM), ("vllm", VLLM), ("InProcess", InProcess)])
def test_an_engine_has_a_short_name(name: str, cls: type[Engine]) -> None:
    assert class_path_of(Engine, name) == f"{cls.__module__}.{cls.__name__}"


def test_options_and_files_name_an_engine(tmp_path: Path) -> None:
    assert parse([GRPO]).model.engine is None
    cli = parse([GRPO, *ON_SERVERS, "--model.engine.patience_s=5"])
    engine = cli.model.engine
    assert isinstance(engine, VLLM)
    assert [server.url for server in engine.servers] == ["http://one:8000", "http://two:8000"]
    assert engine.client.patience_s == 5
    file = tmp_path / "engine.yaml"
    file.write_text(
        "model:\n  init_args:\n    engine: {class_path: VLLM, init_args: {urls: ['http://one:8000']}}\n"
    )
    assert isinstance(parse([GRPO, f"--config={file}"]).model.engine, VLLM)
    again = tmp_path / "config.yaml"
    again.write_text(cli.resolved())
    assert isinstance(parse([f"--config={again}"]).model.engine, VLLM)


def test_the_own_loop_leaves_a_run_its_identity_and_servers_may_move() -> None:
    own = parse([GRPO]).identity()
    assert parse([GRPO, "--model.engine=in_process"]).identity() == own
    served = parse([GRPO, *ON_SERVERS]).identity()
    assert served != own
    assert parse([GRPO, *ON_SERVERS, "--model.engine.overlap=false"]).identity() == served
    assert parse([GRPO, *ON_SERVERS, "--model.engine.overlap=true"]).identity() not in (own, served)
    moved = ["--model.engine=VLLM", "--model.engine.urls=[http://three:8000]", "--model.engine.timeout_s=9"]
    assert parse([GRPO, *moved]).identity() == served


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--model.engine=VLLM"], "urls"),
        (["--model.engine=vLLLM"], "model.engine"),
        (
            ["--model.engine=VLLM", "--model.engine.urls=[one:8000]"],
            "addresses such as http://127.0.0.1:8000",
        ),
        ([*ON_SERVERS, "--model.engine.requests=0"], "requests must be positive, got 0"),
        ([*ON_SERVERS, "--model.engine.url=x"], "model.engine.url"),
        (
            ["--model.engine=InProcess", "--model.engine.overlap=true"],
            "set overlap to false, or engine to VLLM",
        ),
        ([*ON_SERVERS, "--model.engine.overlap=maybe"], "overlap"),
        (["--model.engine.overlap=true"], "model.engine: expected one of InProcess, VLLM"),
    ],
)
def test_a_mistake_in_an_engine_is_one_line(words: list[str], line: str) -> None:
    with pytest.raises(InputError, match=line) as raised:
        _ = parse([GRPO, *words]).model
    print(raised.value)
    assert "\n" not in str(raised.value)
