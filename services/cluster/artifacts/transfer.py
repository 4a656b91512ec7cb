"""What both ends of a transfer do with files, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from services.cluster.artifacts.incoming import MAX_CHUNK_BYTES
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.tasks import to_its_end

P = ParamSpec("P")
T = TypeVar("T")


async def read_chunks(
    folder: Path, relative: str, offset_bytes: int
) -> AsyncIterator[pb.ArtifactChunk]:
    """A file of an artifact from a byte on. Raises FileNotFoundError."""
    with (folder / relative).open("rb") as file:
        file.seek(offset_bytes)
        while data := await asyncio.to_thread(file.read, MAX_CHUNK_BYTES):
            yield pb.ArtifactChunk(path=relative, offset_bytes=offset_bytes, data=data)
            offset_bytes += len(data)


async def finished(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs it in a thread. A caller that is cancelled waits for what the thread still writes."""
    running = asyncio.create_task(asyncio.to_thread(function, *args, **kwargs))
    return await to_its_end(running, lambda: None)
