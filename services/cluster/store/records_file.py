"""A backup of the records as a file: JSON Lines, which any tool can read.

The first line says what it is, then a line for each key (or part of a big one), and the last line
has the SHA-256 of everything before it, so that a file which was cut off or changed is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from services.cluster import VERSION
from services.cluster.errors import BadRequest
from services.cluster.store.keys import PREFIX
from services.cluster.store.snapshot import KeyContent

FORMAT = "hearth-records"
FORMAT_VERSION = 1
_MAX_LINE_BYTES = 512 * 1024 * 1024  # what one value in Redis may have


@dataclass(frozen=True)
class Header:
    """`written_at` in unix seconds."""

    format: str
    format_version: int
    schema: int
    product: str
    written_at: float


@dataclass(frozen=True)
class Trailer:
    sha256: str
    num_lines: int


_HEADER, _CONTENT, _TRAILER = TypeAdapter(Header), TypeAdapter(KeyContent), TypeAdapter(Trailer)


def lines(schema: int, contents: Iterable[KeyContent]) -> Iterator[bytes]:
    """The file, a line at a time."""
    digest, num_lines = hashlib.sha256(), 0
    header = Header(FORMAT, FORMAT_VERSION, schema, VERSION, time.time())
    # ASCII: what is no UTF-8 in Redis comes here as lone surrogates, which JSON can escape.
    for value in (header, *contents):
        line = json.dumps(vars(value)).encode() + b"\n"
        digest.update(line)
        num_lines += 1
        yield line
    yield json.dumps(vars(Trailer(digest.hexdigest(), num_lines))).encode() + b"\n"


def write(place: Path, parts: Iterable[bytes]) -> None:
    """Under its name is the whole file, on disk, or none. Raises OSError."""
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(place)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_header(file: BinaryIO) -> Header:
    """Raises BadRequest for another kind of file."""
    try:
        header = _HEADER.validate_json(file.readline(_MAX_LINE_BYTES))
    except ValidationError:
        header = None
    if header is None or header.format != FORMAT:
        raise BadRequest("This is no backup of Hearth's records; name a file that `export` wrote.")
    if header.format_version > FORMAT_VERSION:
        raise BadRequest(
            f"The backup was written by Hearth {header.product} in a newer format"
            f" ({header.format_version}); import it with that version or a newer one."
        )
    return header


def check(file: BinaryIO) -> Header:
    """Reads it all, from its beginning. Raises BadRequest when it is not whole."""
    file.seek(0)
    header = read_header(file)
    file.seek(0)
    digest, num_lines, line = hashlib.sha256(), 0, b""
    for following in file:
        if line:
            digest.update(line)
            num_lines += 1
        line = following
    try:
        trailer = _TRAILER.validate_json(line)
    except ValidationError:
        trailer = None
    if trailer is None or trailer.num_lines != num_lines or not line.endswith(b"\n"):
        raise BadRequest("The backup is cut off: its last line is missing. Use a whole copy.")
    if trailer.sha256 != digest.hexdigest():
        raise BadRequest("The backup was changed or damaged: its SHA-256 does not fit.")
    return header


def contents(file: BinaryIO) -> Iterator[KeyContent]:
    """Of a file that was checked. Raises BadRequest for what is no record."""
    file.seek(0)
    file.readline()
    previous: bytes | None = None
    for line in file:
        if previous is not None:
            yield _content(previous)
        previous = line


def _content(line: bytes) -> KeyContent:
    # Not by pydantic's own reader: it refuses the lone surrogates that stand for other bytes.
    try:
        content = _CONTENT.validate_python(json.loads(line))
    except ValueError as error:  # pydantic's is one
        raise BadRequest("The backup holds a line that is no record; use another copy.") from error
    if not content.key.startswith(PREFIX):
        raise BadRequest(f"The backup holds {content.key!r}, which is no key of Hearth.")
    return content


def num_keys(parts: Sequence[KeyContent]) -> int:
    return len({part.key for part in parts})
