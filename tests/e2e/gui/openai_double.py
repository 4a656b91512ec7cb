"""A server elsewhere that speaks OpenAI's protocol, as little of it as the pages need."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

KEY = "sk-of-the-double"
MODELS = ("big-chat", "small-chat", "text-embedding-tiny")
ANSWER = ("Hello ", "from ", "elsewhere.")


@dataclass
class OpenAIDouble:
    """`questions` are the bodies that it was asked."""

    url: str
    questions: list[dict[str, Any]] = field(default_factory=list)


class _Requests(BaseHTTPRequestHandler):
    double: ClassVar[OpenAIDouble]

    def do_GET(self) -> None:
        if self._is_allowed():
            self._send_json(200, {"data": [{"id": name} for name in MODELS]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self._is_allowed():
            return
        self.double.questions.append(json.loads(body))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for text in ANSWER:
            self._send_event({"choices": [{"delta": {"content": text}}]})
        self._send_event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        self._send_event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 3}})
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: Any) -> None:
        """The test's output is not a server's log."""

    def _is_allowed(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {KEY}":
            return True
        self._send_json(401, {"error": {"message": "Incorrect API key provided."}})
        return False

    def _send_json(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_event(self, value: Any) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())


@contextmanager
def openai_double() -> Iterator[OpenAIDouble]:
    class Requests(_Requests):
        """Of this double."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    double = Requests.double = OpenAIDouble(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
