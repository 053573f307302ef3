"""A server in a thread of the test, and a client for it."""

import asyncio
import http.client
import json
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lalm_ambig.config.files import config_folder
from lalm_ambig.inference.model import Asking, Model, open_model
from lalm_ambig.runs.loading import PolicyChoice
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.guard import hosts_of
from lalm_ambig.serving.running import listening_socket, run

BOUNDARY = "a-boundary"
WAIT_S = 60.0


@dataclass
class Reply:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The line of a refusal; it must be one line and the only key."""
        assert self.status >= 400 and self.headers["Content-Type"].startswith("application/json"), self.body
        assert self.json.keys() == {"error"} and "\n" not in self.json["error"], self.body
        return str(self.json["error"])


@dataclass
class Live:
    """A service that listens; use it as a context."""

    service: Service
    host: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    taken: socket.socket = field(init=False)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Live":
        self.taken = listening_socket(self.host, 0)
        started = threading.Event()
        self.service.worker.start()
        hosts = hosts_of(self.host, self.allow)
        server = run(self.service, self.taken, hosts=hosts, stops=self.stopping.is_set, started=started.set)
        self.thread = threading.Thread(target=asyncio.run, args=(server,))
        self.thread.start()
        assert started.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        assert self.service.worker.stop(WAIT_S)
        self.taken.close()

    @property
    def port(self) -> int:
        return int(self.taken.getsockname()[1])

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send a request. Names of headers have _ for -."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            link.request(
                method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
            )
            answer = link.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            link.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, **headers)

    def post_json(self, content: Any, **headers: str) -> Reply:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.send("POST", "/v1/predict", body, Content_Type="application/json", **headers)

    def post(
        self, *, audio: bytes | None = None, text: str | None = None, filename: str = "a.wav", **headers: str
    ) -> Reply:
        """Send a multipart form."""
        return self.post_form(form(audio=audio, text=text, filename=filename), **headers)

    def post_form(self, body: bytes, **headers: str) -> Reply:
        return self.send(
            "POST", "/v1/predict", body, Content_Type=f"multipart/form-data; boundary={BOUNDARY}", **headers
        )


def form(*, audio: bytes | None = None, text: str | None = None, filename: str = "a.wav") -> bytes:
    """A multipart body."""
    body = b""
    for name, content in (("audio", audio), ("text", None if text is None else text.encode())):
        if content is not None:
            file = f'; filename="{filename}"'.encode() if name == "audio" else b""
            head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode() + file
            body += head + b"\r\n\r\n" + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode()


def tiny_model(cache_home: Path, *, kind: str = "tiny", **asked: Any) -> Model:
    """An untrained model, by default the tiny one, asked in this way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        choice = PolicyChoice(policy=config_folder() / f"policy/{kind}.yaml", **asked)
        return open_model(choice, Asking(), device="cpu")
