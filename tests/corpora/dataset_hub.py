"""A hub of datasets on this machine, over HTTP: `with dataset_hub() as hub: hub.put("me/x", {"a.jsonl": b"…"})`."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass
class DatasetHub:
    """Datasets by name, each a list of commits; and the requests so far."""

    address: str = ""
    commits: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int | None = None
    """Status of every answer; None answers as a hub does."""
    gated: set[str] = field(default_factory=set)
    """Datasets whose files nobody may read."""
    broken: set[str] = field(default_factory=set)
    """Files whose content does not arrive."""

    def put(self, name: str, files: dict[str, bytes]) -> str:
        """Add a commit to the main branch, and return it."""
        content = json.dumps({path: hashlib.sha1(data).hexdigest() for path, data in files.items()})
        commit = hashlib.sha1(f"{name}{len(self.commits.get(name, []))}{content}".encode()).hexdigest()
        self.commits.setdefault(name, []).append((commit, files))
        return commit

    def files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Commit and files of a revision."""
        commits = self.commits[name]
        if revision == "main":
            return commits[-1]
        return next((both for both in commits if both[0] == revision), None)


class Answer:
    """Status, headers and body."""

    def __init__(self, status: int, body: object = None, **headers: str) -> None:
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.headers = {key.replace("_", "-"): value for key, value in headers.items()}


def answer(hub: DatasetHub, path: str) -> Answer:
    """The hub's answer to a request."""
    if hub.status is not None:
        return Answer(hub.status, {"error": "no"})
    found = re.fullmatch(
        r"(?:/api)?/datasets/([^/]+/[^/]+)(?:/(revision|tree|resolve)/([^/]+)(?:/(.*))?)?", path
    )
    name, what, revision, inner = found.groups() if found else ("", None, None, None)
    if name not in hub.commits:
        return Answer(401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
    at = hub.files(name, revision or "main")
    if at is None:
        return Answer(404, {"error": "no"}, X_Error_Code="RevisionNotFound")
    commit, files = at
    if what in (None, "revision"):
        return Answer(200, {"id": name, "sha": commit, "siblings": [], "private": False, "tags": []})
    if what == "tree":
        oids = {p: hashlib.sha1(data).hexdigest() for p, data in files.items()}
        return Answer(
            200, [{"type": "file", "path": p, "size": len(d), "oid": oids[p]} for p, d in files.items()]
        )
    if name in hub.gated:
        return Answer(403, {"error": "gated"}, X_Error_Code="GatedRepo", X_Error_Message="gated")
    if inner not in files:
        return Answer(404, {"error": "no"}, X_Error_Code="EntryNotFound")
    if inner in hub.broken:
        return Answer(404, {"error": "lost"})
    etag = f'"{hashlib.sha1(files[inner]).hexdigest()}"'
    return Answer(200, files[inner], ETag=etag, X_Repo_Commit=commit)


@contextmanager
def dataset_hub() -> Iterator[DatasetHub]:
    """A hub on a free port."""
    hub = DatasetHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path.partition("?")[0])
            hub.asked.append(path)
            said = answer(hub, path)
            self.send_response(said.status)
            for key, value in said.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(said.body)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
