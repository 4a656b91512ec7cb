"""Names inside archives: shown safely, and refused where they could not be meant well."""

from __future__ import annotations

import re

MAX_NAME_BYTES = 4096
MAX_DEPTH = 200

_DRIVE = re.compile(r"[A-Za-z]:")
# Control characters, surrogates, and marks that turn the direction of the text around them.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(name: str) -> str:
    """Valid UTF-8 without control characters: they are shown as \\xNN, byte by byte."""
    return _UNPRINTABLE.sub(_escaped, name)


def refusal(name: str) -> str:
    """Why a file of this name is not taken, as a sentence; "" when it is.

    Nothing is ever written under such a name, so this protects whoever reads paths later.
    """
    parts = name.replace("\\", "/").split("/")
    if ".." in parts:
        return "Its name leads out of the archive with '..'."
    if parts[0] == "" or _DRIVE.match(name):
        return "Its name is an absolute path."
    if _UNPRINTABLE.search(name):
        return "Its name has control characters, or bytes that are no UTF-8."
    if len(name.encode(errors="surrogateescape")) > MAX_NAME_BYTES:
        return f"Its name is longer than {MAX_NAME_BYTES} bytes."
    if len(parts) > MAX_DEPTH:
        return f"It lies more than {MAX_DEPTH} folders deep."
    return ""


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    # A byte that was no UTF-8 arrives as a lone surrogate (PEP 383).
    data = character.encode(
        errors="surrogateescape" if "\udc80" <= character <= "\udcff" else "replace"
    )
    if "\ud800" <= character <= "\udfff" and data == b"?":
        return f"\\u{ord(character):04x}"
    return "".join(f"\\x{byte:02x}" for byte in data)
