"""A hub that gives no answer costs seconds and one line; what its cache has is taken."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.qwen2_5_omni import Qwen2_5Omni
from lalm_ambig.policies.qwen2_audio import Qwen2Audio
from lalm_ambig.policies.weights import hub
from lalm_ambig.policies.weights.contents import check_contents


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing asked before, an empty cache, and no setting that another test leaves."""
    monkeypatch.setattr(hub, "_ANSWERED", set())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in (
        "HF_HOME",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "ALL_PROXY",
        "https_proxy",
        "http_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)


def at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let the hub be at that address."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> str:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    at(monkeypatch, address)
    return address


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that takes calls and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        at(monkeypatch, f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that answers every question with one status."""

    class Handler(BaseHTTPRequestHandler):
        status, asked = 200, 0

        def do_HEAD(self) -> None:
            type(self).asked += 1
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    at(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield Handler
    server.shutdown()
    server.server_close()


def in_cache(source: str) -> None:
    """Put a config.json of that model into the hub's cache."""
    folder = Path(constants.HF_HUB_CACHE) / f"models--{source.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc" / "config.json").write_text('{"model_type": "qwen2"}')


@pytest.mark.parametrize(
    ("policy", "size"),
    [
        (Qwen2Audio(), ", about 17 GB"),
        (Qwen2_5Omni(), ", about 22 GB"),
        (CausalLM("someone/some-model"), ""),
        (Qwen2Audio("someone/of-that-class"), ""),
    ],
)
def test_every_policy_says_what_to_do_in_one_line_and_at_once(
    nowhere: str, policy: Any, size: str, capfd: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    asks = (policy.check_reachable, policy.load, lambda: check_contents(policy.path))
    for ask in asks:
        with pytest.raises(InputError) as raised:
            ask()
        line = str(raised.value)
        what = (
            f"policy.path: {policy.path} is not in the hub's cache, and the hub ({nowhere}) cannot be reached"
        )
        assert line.startswith(what)
        for part in ("--policy.path FOLDER", "HF_HOME", "HF_HUB_OFFLINE=1", "\n"):
            assert (part in line) is (part != "\n")
        assert f"hf download {policy.path}{'' if ask == asks[-1] else size})" in line
    assert time.monotonic() - started < 5
    assert "Retrying" not in capfd.readouterr().err


@pytest.mark.usefixtures("silent")
def test_a_server_that_never_answers_and_a_search_that_never_ends_cost_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = time.monotonic()
    assert hub.no_answer_reason("a/b", patience_s=0.3) is not None

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(20))
    at(monkeypatch, "http://hub.example.invalid")
    assert hub.no_answer_reason("a/b", patience_s=0.3) == "gives no answer within 0.3 s"
    assert time.monotonic() - started < 3
    assert hub.PATIENCE_S < 5


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 407])
def test_an_answer_that_is_none_is_named(answering: Any, status: int) -> None:
    answering.status = status
    with pytest.raises(InputError, match=f"answers with {status}"):
        hub.check_hub("a/b")


@pytest.mark.parametrize("status", [200, 302, 307, 401, 403, 404])
def test_a_hub_that_answers_is_left_to_speak_for_itself_and_asked_once(answering: Any, status: int) -> None:
    answering.status = status
    hub.check_hub("a/b")
    hub.check_hub("a/b")
    assert answering.asked == 1
    hub.check_hub("c/d")
    assert answering.asked == 2


@pytest.mark.usefixtures("nowhere")
def test_what_the_cache_has_is_taken_where_the_hub_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    in_cache("a/b")
    hub.check_hub("a/b")
    assert constants.HF_HUB_OFFLINE is True  # else its client would ask six times for every file
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("a/b: the hub cannot be reached") and line.endswith("What its cache has is used.")
    assert check_contents("a/b") == {"model_type": "qwen2"}


def test_offline_nobody_is_asked(answering: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        InputError, match=rf"is not asked, since HF_HUB_OFFLINE is set.*HF_HOME \(now {tmp_path}\)"
    ):
        hub.check_hub("a/b")
    in_cache("a/b")
    hub.check_hub("a/b")
    assert answering.asked == 0


def test_a_folder_asks_nobody(answering: Any, tmp_path: Path) -> None:
    hub.check_hub(str(tmp_path))
    assert answering.asked == 0
