"""The few addresses of a model hub that uploads and downloads visit, on this machine: `with hub() as stub:`."""

import base64
import hashlib
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
    fetched: list[str] = field(default_factory=list)
    """Files that were sent to somebody."""

    @property
    def commit(self) -> str:
        """Name of the state of all files."""
        digest = hashlib.sha1()
        for name, content in sorted(self.files.items()):
            digest.update(f"{name}\0{hashlib.sha1(content).hexdigest()}\n".encode())
        return digest.hexdigest()

    def information(self) -> dict[str, Any]:
        """What the hub says of the repository."""
        siblings = [{"rfilename": name} for name in sorted(self.files)]
        return {"id": "me/x", "private": self.private, "sha": self.commit, "siblings": siblings}

    def tree(self) -> list[dict[str, Any]]:
        """What the hub says of its files."""
        return [
            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for name, content in sorted(self.files.items())
        ]

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

        def do_HEAD(self) -> None:
            self.do_GET(with_body=False)

        def do_GET(self, *, with_body: bool = True) -> None:
            """A file, or the repository's information."""
            _, _, file = self.path.partition("?")[0].partition("/resolve/")
            name = file.partition("/")[2]
            facts = stub.tree() if "/tree/" in self.path else stub.information()
            content = stub.files.get(name, b"") if file else json.dumps(facts).encode()
            exists = stub.private is not None and self.path.count("me/x") > 0
            status = 404 if not exists or (file and name not in stub.files) else 200
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "EntryNotFound" if exists else "RepoNotFound")
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", stub.commit)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                stub.fetched += [name] * bool(file)
                self.wfile.write(content)

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
