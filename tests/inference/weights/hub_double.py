"""A hub of models on 127.0.0.1: what huggingface_hub asks one, answered over real HTTP.

It keeps what it was asked, and breaks what a test tells it to break.
"""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_BLOCK_BYTES = 16 * 1024
COMMIT = "5f0d9a6b1c2e3f4a5b6c7d8e9f0a1b2c3d4e5f60"


@dataclass
class Repository:
    """`lfs` files have a SHA-256 and are sent from the hub's other path, as by a CDN."""

    files: dict[str, bytes]
    commit: str = COMMIT
    gated: bool = False
    private: bool = False
    said_sizes: dict[str, int] = field(default_factory=dict)

    def is_lfs(self, path: str) -> bool:
        return path.endswith((".safetensors", ".bin", ".gguf"))


@dataclass
class Request:
    path: str
    token: str
    first_byte: int
    via: str


@dataclass
class Faults:
    """Each answer takes what it finds. `cuts` are bytes after which a connection is cut; so many
    answers `stall` after more than so many bytes, and are cut when `released`.
    """

    cuts: list[int] = field(default_factory=list)
    statuses: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    corrupt: int = 0
    stall: int = 0
    stall_after: int = 64 * 1024
    ignore_ranges: bool = False
    block_seconds: float = 0.0


@dataclass
class HubDouble:
    url: str = ""
    token: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    num_bytes: dict[str, int] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    redirect_to: str = ""

    def add(self, hub_id: str, folder: Path, **changes: Any) -> Repository:
        """With the files of a folder."""
        files = {
            place.relative_to(folder).as_posix(): place.read_bytes()
            for place in sorted(folder.rglob("*"))
            if place.is_file()
        }
        self.repositories[hub_id] = Repository(files, **changes)
        return self.repositories[hub_id]

    def served(self, path: str) -> int:
        """Bytes of a file that were sent, of all answers."""
        return self.num_bytes.get(path, 0)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: HubDouble

    def log_message(self, *args: object) -> None:
        """Says nothing: the requests are kept."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        shown = self.headers.get("Authorization", "").removeprefix("Bearer ")
        via = "proxy" if self.path.startswith("http://") else ""
        self.hub.requests.append(Request(path, shown, self._first_byte(), via))
        if self.hub.faults.statuses:
            status, headers = self.hub.faults.statuses.pop(0)
            self._say(status, {"error": "as the test says"}, headers)
        elif path.startswith("/cdn/"):
            _, _, hub_id, file = path.split("/", 3)
            self._send(self.hub.repositories[hub_id.replace("--", "/")], file)
        elif path.startswith("/api/models/"):
            hub_id, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            if repository := self._repository(hub_id, revision, shown, is_file=False):
                self._say(200, _described(hub_id, repository))
        else:
            hub_id, _, rest = path[1:].partition("/resolve/")
            revision, _, file = rest.partition("/")
            if repository := self._repository(hub_id, revision, shown, is_file=True):
                self._resolve(hub_id, repository, file)

    def _repository(
        self, hub_id: str, revision: str, shown: str, *, is_file: bool
    ) -> Repository | None:
        """As the hub refuses: a stranger is told neither of private nor of missing ones."""
        known = bool(self.hub.token) and shown == self.hub.token
        repository = self.hub.repositories.get(hub_id)
        if shown and not known:
            message = "Invalid credentials in Authorization header"
            self._say(401, {"error": message}, {"X-Error-Message": message})
        elif repository is None or (repository.private and not known):
            status = 404 if known else 401
            self._say(status, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("", "main", repository.commit):
            self._say(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        elif repository.gated and is_file and not known:
            told = "Access to this model is restricted: it is gated."
            self._say(401, {"error": told}, {"X-Error-Code": "GatedRepo"})
        else:
            return repository
        return None

    def _resolve(self, hub_id: str, repository: Repository, file: str) -> None:
        if file not in repository.files:
            self._say(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        elif repository.is_lfs(file):
            content = repository.files[file]
            place = f"/cdn/{hub_id.replace('/', '--')}/{file}"
            self._say(
                302,
                {},
                {
                    "Location": f"{self.hub.redirect_to}{place}",
                    "X-Repo-Commit": repository.commit,
                    "X-Linked-Size": str(len(content)),
                    "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                },
            )
        else:
            self._send(repository, file)

    def _send(self, repository: Repository, file: str) -> None:
        content, faults = repository.files[file], self.hub.faults
        if faults.corrupt and repository.is_lfs(file) and self._first_byte() == 0:
            faults.corrupt -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        first, last = self._range(len(content))
        self.send_response(206 if first or last + 1 < len(content) else 200)
        if first or last + 1 < len(content):
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("ETag", f'"{_blob(content)}"')
        self.send_header("X-Repo-Commit", repository.commit)
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = faults.cuts.pop(0) if faults.cuts and repository.is_lfs(file) else None
        self._write(file, content[first : last + 1], cut)

    def _write(self, file: str, content: bytes, cut: int | None) -> None:
        """Cut off: the connection is closed without what was announced."""
        faults = self.hub.faults
        for start in range(0, len(content), _BLOCK_BYTES):
            block = content[start : start + _BLOCK_BYTES]
            if cut is not None and start + len(block) > cut:
                block = block[: cut - start]
            self.wfile.write(block)
            self.wfile.flush()
            self.hub.num_bytes[file] = self.hub.served(file) + len(block)
            if cut is not None and start + len(block) >= cut:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            if faults.stall and start + len(block) > faults.stall_after:
                faults.stall -= 1
                self.hub.released.wait(60)
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            time.sleep(faults.block_seconds)

    def _first_byte(self) -> int:
        return self._range(2**62)[0]

    def _range(self, size: int) -> tuple[int, int]:
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        if not asked or self.hub.faults.ignore_ranges:
            return 0, size - 1
        first, _, last = asked.partition("-")
        return int(first), min(int(last), size - 1) if last else size - 1

    def _say(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _described(hub_id: str, repository: Repository) -> dict[str, Any]:
    siblings: list[dict[str, Any]] = []
    for path, content in repository.files.items():
        size = repository.said_sizes.get(path, len(content))
        sibling: dict[str, Any] = {"rfilename": path, "size": size, "blobId": _blob(content)}
        if repository.is_lfs(path):
            sha256 = hashlib.sha256(content).hexdigest()
            sibling["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 134}
        siblings.append(sibling)
    return {
        "id": hub_id,
        "modelId": hub_id,
        "sha": repository.commit,
        "private": repository.private,
        "gated": "manual" if repository.gated else False,
        "cardData": {"license": "apache-2.0"},
        "siblings": siblings,
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what many tests are about."""


@contextmanager
def hub_double(tls: ssl.SSLContext | None = None) -> Iterator[HubDouble]:
    hub = HubDouble()
    server = _Server(("127.0.0.1", 0), type("Answer", (_Answer,), {"hub": hub}))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    hub.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
