"""One file on its way from the hub: resumed where it broke off, and verified."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx2

from services.cluster import durable_files
from services.cluster.artifacts.disk_space import telling_full_disk
from services.cluster.errors import (
    Conflict,
    HearthError,
    OutOfDisk,
    Overloaded,
    Unavailable,
)
from services.cluster.store.backoff import Backoff
from services.cluster.tasks import finished
from services.inference.weights.hub import REPEATABLE, Hub, HubFile, HubModel

_READ_BYTES = 16 * 1024 * 1024
_LONGEST_PAUSE_SECONDS = 30.0
_LONGEST_ASKED_PAUSE_SECONDS = 300.0  # by a hub that says when to come back
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """A connection that broke is made again until it brought nothing `num_failures` times."""

    num_failures: int = 5
    first_pause_seconds: float = 0.5


class Transfer:
    """`arrived` is told how many more bytes of the file are here, fewer when some were bad, and
    whether they were fetched just now.
    """

    def __init__(
        self,
        hub: Hub,
        model: HubModel,
        file: HubFile,
        place: Path,
        arrived: Callable[[int, bool], None],
        patience: Patience,
    ) -> None:
        self._hub = hub
        self._model = model
        self._file = file
        self._place = place
        self._part = place.with_name(f"{place.name}.part")
        self._arrived = arrived
        self._patience = patience
        self._num_bytes = 0
        self._hash = _hash_of(file)

    async def run(self) -> None:
        """Raises Conflict when the hub's bytes are wrong twice, OutOfDisk, and what Hub raises.

        Cancelled, or raising another error, it keeps what is here for the next one.
        """
        if self._place.is_file():
            self._arrived(self._file.size_bytes, False)
            return
        self._part.parent.mkdir(parents=True, exist_ok=True)
        for is_last in (False, True):
            await self._take_up()
            await self._receive()
            if self._is_right():
                break
            self._drop()
            if is_last:
                raise Conflict(
                    f"{self._file.path} of {self._model.hub_id} came twice with other bytes than"
                    " the hub promises (its hash differs); nothing of it was kept. The hub, or a"
                    " proxy on the way, is damaged."
                )
        await asyncio.to_thread(durable_files.sync, self._part)
        os.rename(self._part, self._place)

    def _is_right(self) -> bool:
        return self._hash.hexdigest() == (self._file.sha256 or self._file.git_blob)

    async def _take_up(self) -> None:
        """Hashes what an earlier attempt left."""
        self._hash, self._num_bytes = _hash_of(self._file), 0
        if self._part.is_file() and self._part.stat().st_size > self._file.size_bytes:
            self._part.unlink()
        self._part.touch()
        with self._part.open("rb") as opened:
            while block := await finished(opened.read, _READ_BYTES):
                await finished(self._hash.update, block)
                self._num_bytes += len(block)
                self._arrived(len(block), False)

    async def _receive(self) -> None:
        backoff = Backoff(self._patience.first_pause_seconds, _LONGEST_PAUSE_SECONDS)
        num_failures = 0
        while self._num_bytes < self._file.size_bytes:
            before = self._num_bytes
            problem: HearthError = Unavailable(
                f"The connection to {self._hub.url} ended before {self._file.path} was complete."
            )
            try:
                await self._stream()
            except REPEATABLE as error:
                problem = error
            if self._num_bytes == self._file.size_bytes:
                return
            if self._num_bytes > before:
                num_failures = 0
                backoff.reset()
            num_failures += 1
            if num_failures > self._patience.num_failures:
                raise problem
            await asyncio.sleep(pause_seconds(problem, backoff))

    async def _stream(self) -> None:
        async with self._hub.stream(self._model, self._file.path, self._num_bytes) as response:
            begins_at = self._begins_at(response)
            if begins_at not in (0, self._num_bytes):
                raise Unavailable(f"{self._hub.url} sends another part of a file than was asked.")
            if begins_at != self._num_bytes:  # it sends the whole file whatever is asked for
                self._drop()
                self._hash = _hash_of(self._file)
            with self._part.open("ab") as opened:
                async for data in response.aiter_raw():
                    room = self._file.size_bytes - self._num_bytes
                    if len(data) > room:
                        raise self._of_another_size(f"more than {self._file.size_bytes} bytes")
                    await finished(self._write, opened, data)
                    self._num_bytes += len(data)
                    self._arrived(len(data), True)

    def _begins_at(self, response: httpx2.Response) -> int:
        """Raises Conflict when the hub now means a file of another size."""
        if response.status_code != 206:
            return 0
        found = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if not found:
            raise Unavailable(f"{self._hub.url} sends a part of a file and does not say which.")
        if int(found[2]) != self._file.size_bytes:
            raise self._of_another_size(f"{found[2]} bytes")
        return int(found[1])

    def _of_another_size(self, said: str) -> Conflict:
        self._drop()
        return Conflict(
            f"{self._file.path} of {self._model.hub_id} should have {self._file.size_bytes} bytes,"
            f" and the hub sends {said}; nothing of it was kept."
        )

    def _write(self, opened: BinaryIO, data: bytes) -> None:
        try:
            with telling_full_disk(self._part):
                opened.write(data)
                opened.flush()  # what has come is not asked for again after a kill
        except OutOfDisk as error:
            raise OutOfDisk(
                f"The volume of {self._part.parent} is full; what has come of {self._model.hub_id}"
                " is kept. Make room there, then start the download again."
            ) from error
        self._hash.update(data)

    def _drop(self) -> None:
        self._arrived(-self._num_bytes, False)
        self._num_bytes = 0
        os.truncate(self._part, 0)


def _hash_of(file: HubFile) -> hashlib._Hash:
    """SHA-256, or git's hash of a blob, which begins with the size."""
    if file.sha256:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)


async def patiently(call: Callable[[], Awaitable[T]], patience: Patience) -> T:
    """Repeats what a hub did not answer now. Raises what it raises in the end."""
    backoff = Backoff(patience.first_pause_seconds, _LONGEST_PAUSE_SECONDS)
    for _ in range(patience.num_failures):
        try:
            return await call()
        except REPEATABLE as error:
            await asyncio.sleep(pause_seconds(error, backoff))
    return await call()


def pause_seconds(problem: HearthError, backoff: Backoff) -> float:
    """As long as a hub that is asked too often says, else by chance."""
    if isinstance(problem, Overloaded) and problem.retry_after_seconds is not None:
        return min(problem.retry_after_seconds, _LONGEST_ASKED_PAUSE_SECONDS)
    return backoff.next_seconds()
