"""The few addresses of a model hub that an upload visits, on this machine: `with hub() as stub:`."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Stub:
    """Requests to the hub, and its answers."""

    address: str = ""
    refuse: dict[str, int] = field(default_factory=dict)
    """Status for paths that end so."""
    tokens: set[str] = field(default_factory=set)
    """Values of the Authorization headers."""
    created: list[dict[str, Any]] = field(default_factory=list)
    private: bool | None = None
    """Of the repository; None where there is none."""
    files: dict[str, bytes] = field(default_factory=dict)

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path.endswith("/api/repos/create"):
            self.created.append(json.loads(body))
            if self.private is None:
                self.private = (
                    bool(self.created[-1].get("private")) or self.created[-1].get("visibility") == "private"
                )
            return {"url": f"{self.address}/me/x", "name": "me/x", "id": "1"}
        if "/preupload/" in path:
            asked = json.loads(body)["files"]
            return {
                "files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]
            }
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return {"commitUrl": f"{self.address}/me/x/commit/1", "commitOid": "1", "success": True}
        return {"errors": [], "warnings": []}  # of the card


@contextmanager
def hub() -> Iterator[Stub]:
    """A hub on a free port, which takes any token."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            stub.tokens.add(self.headers.get("Authorization", ""))
            path = self.path.partition("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status = next((code for end, code in stub.refuse.items() if path.endswith(end)), 200)
            content = {"error": "no"} if status != 200 else stub.answer(path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def do_GET(self) -> None:
            """The repository's information."""
            self.send_response(404 if stub.private is None else 200)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            self.wfile.write(json.dumps({"id": "me/x", "private": stub.private}).encode())

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
