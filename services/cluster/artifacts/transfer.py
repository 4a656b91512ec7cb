"""What both ends of a transfer do with files, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from services.cluster.artifacts.incoming import MAX_CHUNK_BYTES
from services.cluster.pb.v1 import artifacts_pb2 as pb


async def read_chunks(
    folder: Path, relative: str, offset_bytes: int
) -> AsyncIterator[pb.ArtifactChunk]:
    """A file of an artifact from a byte on. Raises FileNotFoundError."""
    with (folder / relative).open("rb") as file:
        file.seek(offset_bytes)
        while data := await asyncio.to_thread(file.read, MAX_CHUNK_BYTES):
            yield pb.ArtifactChunk(path=relative, offset_bytes=offset_bytes, data=data)
            offset_bytes += len(data)
