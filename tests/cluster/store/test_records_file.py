from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.errors import BadRequest
from services.cluster.store import records_file
from services.cluster.store.snapshot import KeyContent

PARTS = [
    KeyContent("hearth:users", "hash", [["a", "1"], ["b", "2"]]),
    KeyContent("hearth:users", "hash", [["c", "\udcff"]]),
    KeyContent("hearth:deployed", "string", ["1"], expires_at=123),
]
WHOLE = b"".join(records_file.lines(2, PARTS))


def test_what_was_written_is_read() -> None:
    file = io.BytesIO(WHOLE)
    header = records_file.check(file)
    assert (header.format, header.schema) == ("hearth-records", 2)
    assert list(records_file.contents(file)) == PARTS
    assert records_file.num_keys(PARTS) == 2
    assert all(json.loads(line) for line in WHOLE.splitlines())


def test_it_may_hold_nothing() -> None:
    file = io.BytesIO(b"".join(records_file.lines(2, [])))
    records_file.check(file)
    assert list(records_file.contents(file)) == []


@given(st.integers(0, len(WHOLE) - 1))
def test_a_file_that_is_cut_off_is_found(length: int) -> None:
    with pytest.raises(BadRequest):
        records_file.check(io.BytesIO(WHOLE[:length]))


@given(st.integers(0, len(WHOLE) - 2), st.integers(1, 255))
def test_a_changed_byte_is_found(place: int, change: int) -> None:
    changed = bytearray(WHOLE)
    changed[place] ^= change
    with pytest.raises(BadRequest):
        records_file.check(io.BytesIO(changed))


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[]\n", b'{"format": "other"}\n'])
def test_another_file_is_named_as_such(content: bytes) -> None:
    with pytest.raises(BadRequest, match="no backup"):
        records_file.check(io.BytesIO(content))


def test_a_newer_format_is_refused() -> None:
    lines = WHOLE.replace(b'"format_version": 1', b'"format_version": 2')
    with pytest.raises(BadRequest, match="newer format"):
        records_file.check(io.BytesIO(lines))


def test_under_its_name_is_the_whole_file_or_the_one_before(tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield WHOLE[:10]
        raise OSError("the disk is full")

    place = tmp_path / "records.jsonl"
    records_file.write(place, [WHOLE])
    with pytest.raises(OSError, match="full"):
        records_file.write(place, breaking())
    assert place.read_bytes() == WHOLE
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]
    assert place.stat().st_mode & 0o777 == 0o600
