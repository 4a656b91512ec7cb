"""Files of a tar archive, plain or compressed, as a stream: nothing is extracted or kept."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from services.datascan import names
from services.datascan.readers.source_file import (
    MIB,
    DamagedArchive,
    ReadLimits,
    SourceFile,
    refused,
    rest_refused,
)

_BLOCK_BYTES = 512
_MAX_HEADER_BYTES = MIB
_DAMAGED = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RecursionError)


class _Stream(Protocol):
    def read(self, size: int) -> bytes: ...


Opener = Callable[[IO[bytes]], _Stream]


class _LimitReached(Exception):
    """A sentence."""


class _Unpacked(io.RawIOBase):
    """The unpacked stream, counted against the limits; tarfile reads from it.

    A header that says that it is long is read into memory at once, so each step of the archive has
    an allowance of its own.
    """

    def __init__(self, packed: IO[bytes], unpack: Opener, limits: ReadLimits) -> None:
        super().__init__()
        self._packed = packed
        self._stream = unpack(packed)
        self._limits = limits
        self._num_bytes = 0
        self._allowed_until = 0
        self.last_block = b""

    def allow(self, num_bytes: int) -> None:
        self._allowed_until = self._num_bytes + num_bytes

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._num_bytes += len(data)
        self.last_block = (self.last_block + data)[-_BLOCK_BYTES:]
        if self._num_bytes > self._limits.max_unpacked_bytes:
            raise _LimitReached(
                f"The archive unpacks to more than {self._limits.max_unpacked_bytes} bytes."
            )
        over = self._num_bytes - self._limits.ratio_free_bytes
        if over > 0 and self._num_bytes > self._limits.max_ratio * self._packed.tell():
            raise _LimitReached(
                f"The archive unpacks to more than {self._limits.max_ratio:g} times its size."
            )
        if self._num_bytes > self._allowed_until:
            raise _LimitReached(f"A header in the archive is over {_MAX_HEADER_BYTES} bytes.")
        return data


def read_tar(place: Path, limits: ReadLimits, skip: int = 0) -> Iterator[SourceFile]:
    return _read(place, lambda packed: packed, limits, skip)


def read_tar_gz(place: Path, limits: ReadLimits, skip: int = 0) -> Iterator[SourceFile]:
    return _read(place, lambda packed: gzip.GzipFile(fileobj=packed), limits, skip)


def read_tar_bz2(place: Path, limits: ReadLimits, skip: int = 0) -> Iterator[SourceFile]:
    return _read(place, lambda packed: bz2.BZ2File(packed), limits, skip)


def _read(place: Path, unpack: Opener, limits: ReadLimits, skip: int) -> Iterator[SourceFile]:
    """Raises DamagedArchive, also after some files when the archive breaks off."""
    name = ""
    try:
        with place.open("rb") as packed:
            stream = _Unpacked(packed, unpack, limits)
            stream.allow(_MAX_HEADER_BYTES)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK_BYTES * 20) as archive:
                number = 0
                while (member := _next(archive, stream)) is not None:
                    if member.isdir():
                        continue
                    name, number = member.name, number + 1
                    if number > limits.max_files:
                        raise _LimitReached(f"The archive has more than {limits.max_files} files.")
                    if number > skip:
                        yield _file(archive, member, stream, limits)
            _check_end(stream)
    except _LimitReached as limit:
        yield rest_refused(name or place.name, str(limit))
    except _DAMAGED as error:
        where = f" after {names.printable(name)}" if name else ""
        raise DamagedArchive(f"The tar archive cannot be read{where}: {error}.") from None


def _next(archive: tarfile.TarFile, stream: _Unpacked) -> tarfile.TarInfo | None:
    """The next header. What is left of the member before it is passed over, not kept.

    Nor is what global headers said: they speak of all files after them, and each adds to the
    memory. Those that count here, path and size, mean nothing for more than one file.
    """
    archive.members = []  # type: ignore[attr-defined]  # else a million of them stay in memory
    archive.pax_headers = {}
    fileobj = archive.fileobj
    ahead = archive.offset - fileobj.tell() if fileobj else 0
    stream.allow(max(ahead, 0) + _MAX_HEADER_BYTES)
    return archive.next()


def _file(
    archive: tarfile.TarFile, member: tarfile.TarInfo, stream: _Unpacked, limits: ReadLimits
) -> SourceFile:
    if sentence := names.refusal(member.name) or _refusal(member):
        return refused(member.name, member.size, sentence)
    if member.size > limits.max_file_bytes:
        return SourceFile(names.printable(member.name), member.size)
    stream.allow(member.size + _MAX_HEADER_BYTES)
    content = archive.extractfile(member)
    data = content.read() if content else b""
    return SourceFile(names.printable(member.name), len(data), data)


def _refusal(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "It is a link, not a file."
    if not member.isreg():
        return "It is a device or a pipe, not a file."
    if member.issparse():
        return "It is a sparse file; pack it without --sparse."
    return ""


def _check_end(stream: _Unpacked) -> None:
    """A whole archive ends with blocks of zeros; one that was cut between two files does not."""
    while True:
        stream.allow(_MAX_HEADER_BYTES)
        if not stream.read(_BLOCK_BYTES * 20):
            break
    if stream.last_block.strip(b"\0"):
        raise EOFError("it is cut off")
