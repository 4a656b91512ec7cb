"""The events of a run in a file: curves, log lines, checkpoints, evaluations.

Append-only over all attempts, so ids only grow: a step that a later attempt makes again replaces
the earlier one for the reader (WatchRun). A line cut off by a kill is dropped at the next opening.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

_FILE = "events.jsonl"
_READ_BYTES = 1024 * 1024


class EventKind(StrEnum):
    METRICS = "metrics"
    LOG = "log"
    CHECKPOINT = "checkpoint"
    EVALUATION = "evaluation"


class JournalEntry(msgspec.Struct, frozen=True):
    """`data`: the message of the proto in its JSON mapping."""

    event_id: int
    event_at: float
    kind: EventKind
    data: dict[str, Any]


_decoder: msgspec.json.Decoder[JournalEntry] = msgspec.json.Decoder(JournalEntry)


class Journal:
    """Written by the holder of the run's job."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._place = folder / _FILE
        self._newest_id = _mend(self._place)

    def append(self, kind: EventKind, data: dict[str, Any]) -> JournalEntry:
        """In the page cache of the system afterwards; a lost line is made again by the resume."""
        self._newest_id += 1
        entry = JournalEntry(self._newest_id, time.time(), kind, data)
        with self._place.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
        return entry


class JournalReader:
    """Reads on from where it was."""

    def __init__(self, folder: Path, after_id: int = 0) -> None:
        self._place = folder / _FILE
        self._position = 0
        self._after_id = after_id

    def read(self) -> Sequence[JournalEntry]:
        """What was appended since, about a mebibyte of it at most; empty only at the end."""
        if not self._place.is_file():
            return ()
        with self._place.open("rb") as file:
            file.seek(self._position)
            while lines := _whole_lines(file):
                self._position += len(lines)
                entries = [_decoder.decode(line) for line in lines.splitlines()]
                if wanted := [entry for entry in entries if entry.event_id > self._after_id]:
                    return wanted
                file.seek(self._position)
        return ()


def _whole_lines(file: BinaryIO) -> bytes:
    """About a mebibyte of the lines from here on, but one line however long; b"" without one."""
    data = file.read(_READ_BYTES)
    if b"\n" not in data:
        data += file.readline()
    return data[: data.rfind(b"\n") + 1]


def newest_event_id(folder: Path) -> int:
    """0 while there is none."""
    place = folder / _FILE
    if not place.is_file():
        return 0
    with place.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - _READ_BYTES, 0))
        whole, _, _ = file.read().rpartition(b"\n")  # the rest is being written
    newest = whole.rpartition(b"\n")[2]
    return _decoder.decode(newest).event_id if newest else 0


def _mend(place: Path) -> int:
    """Cuts off half a line; the newest id."""
    if not place.exists():
        return 0
    newest = b""
    with place.open("rb+") as file:
        end = 0
        for line in file:
            if line.endswith(b"\n"):
                newest, end = line, end + len(line)
        file.truncate(end)
        os.fsync(file.fileno())
    return _decoder.decode(newest).event_id if newest else 0
