"""What can be said of a file by looking at it alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from services.datascan.languages import language_of
from services.datascan.readers.source_file import SourceFile

_BINARY_PROBE_BYTES = 8000  # as git
_MAX_HIGH_SHARE = 0.05
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CONTROLS = bytes(sorted({*range(9), *range(14, 32), 127} - {27}))


@dataclass(frozen=True)
class FileFacts:
    """`text` is None when the file was not read or is no text; then the rest is zero or empty.

    `content_key` is the same for files that differ in line ends and trailing blanks only.
    `digit_share` is that of the non-blank characters.
    """

    path: str
    size_bytes: int
    refusal: str = ""
    was_read: bool = False
    text: str | None = None
    sha256: str = ""
    content_key: str = ""
    language: str = ""
    num_lines: int = 0
    max_line_chars: int = 0
    mean_line_chars: float = 0.0
    num_non_blank: int = 0
    digit_share: float = 0.0


def facts_of(file: SourceFile, source_name: str) -> FileFacts:
    path = f"{source_name}/{file.path}"
    content = file.content
    if content is None:
        return FileFacts(path, file.size_bytes, file.refusal, language=language_of(path, ""))
    sha256 = hashlib.sha256(content).hexdigest()
    text = decoded(content)
    if text is None:
        return FileFacts(path, file.size_bytes, was_read=True, sha256=sha256)
    lines = text.removesuffix("\n").split("\n") if text else []
    num_non_blank = sum(map(len, text.split()))
    num_digits = sum(map(text.count, "0123456789"))
    return FileFacts(
        path=path,
        size_bytes=file.size_bytes,
        was_read=True,
        text=text,
        sha256=sha256,
        content_key=content_key(text),
        language=language_of(path, text),
        num_lines=len(lines),
        max_line_chars=max(map(len, lines), default=0),
        mean_line_chars=len(text) / len(lines) if lines else 0.0,
        num_non_blank=num_non_blank,
        digit_share=num_digits / num_non_blank if num_non_blank else 0.0,
    )


def decoded(content: bytes) -> str | None:
    """The text, with "\\n" as line end and without a byte order mark; None for what is no text.

    What is no UTF-8 is taken as Windows-1252 when few bytes depend on it: names in old comments.
    """
    if encoding := _BYTE_ORDER_MARKS.get(content[:2]):
        return _decoded(content, encoding)
    if b"\0" in content[:_BINARY_PROBE_BYTES]:
        return None
    text = _decoded(content, "utf-8-sig")
    if text is None and _looks_western(content):
        text = _decoded(content, "cp1252")
    return text


def content_key(text: str) -> str:
    # Not by a regular expression: one would take quadratic time on a long run of blanks.
    lines = [line.rstrip() for line in text.split("\n")]
    return hashlib.sha256("\n".join(lines).strip().encode()).hexdigest()


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.replace("\r\n", "\n").replace("\r", "\n")


def _looks_western(content: bytes) -> bool:
    ascii_only = content.translate(None, bytes(range(128, 256)))
    if len(ascii_only) != len(ascii_only.translate(None, _CONTROLS)):
        return False
    return len(content) - len(ascii_only) <= _MAX_HIGH_SHARE * len(content)
