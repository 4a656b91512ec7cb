from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from services.datascan.readers import ReadLimits, SourceFile
from services.datascan.readers.source_file import DamagedArchive
from services.datascan.readers.zip_archive import read_zip
from tests.datascan.archives import zipped

LIMITS = ReadLimits(max_file_bytes=1000, max_files=100, max_unpacked_bytes=10_000)


def read(
    tmp_path: Path, data: bytes, limits: ReadLimits = LIMITS, skip: int = 0
) -> list[SourceFile]:
    place = tmp_path / "content"
    place.write_bytes(data)
    return list(read_zip(place, limits, skip))


def with_mode(name: str, mode: int, content: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, content)
    return buffer.getvalue()


def test_files_come_in_order_without_folders(tmp_path: Path) -> None:
    data = zipped({"src/": "", "src/b.py": "b", "a.py": "a", "empty.py": ""})
    assert read(tmp_path, data) == [
        SourceFile("src/b.py", 1, b"b"),
        SourceFile("a.py", 1, b"a"),
        SourceFile("empty.py", 0, b""),
    ]
    assert read(tmp_path, data, skip=2) == [SourceFile("empty.py", 0, b"")]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("../../etc/passwd", "leads out"),
        ("a/../../b", "leads out"),
        ("..\\b", "leads out"),
        ("/etc/passwd", "absolute"),
        ("C:\\windows\\b", "absolute"),
        ("a\nb.py", "control"),
        ("a\x1b[31m.py", "control"),
        ("a\u202eyp.py", "control"),
        ("d/" * 201 + "a.py", "folders deep"),
        ("n" * 5000, "longer"),
    ],
)
def test_a_hostile_name_costs_its_own_file_only(tmp_path: Path, name: str, word: str) -> None:
    files = read(tmp_path, zipped({name: "x", "good.py": "good"}))
    assert word in files[0].refusal
    assert files[0].content is None
    assert files[0].path.isprintable()
    assert files[1] == SourceFile("good.py", 4, b"good")
    assert [place.name for place in tmp_path.iterdir()] == ["content"]


def test_a_name_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    data = zipped({"a.py_.png": "x"}).replace(b"a.py_.png", b"a.py\0.png")
    (file,) = read(tmp_path, data)
    assert (file.path, file.content) == ("a.py\\x00.png", None)


@pytest.mark.parametrize(
    ("mode", "word"),
    [(stat.S_IFLNK | 0o777, "link"), (stat.S_IFCHR | 0o666, "device"), (stat.S_IFIFO, "pipe")],
)
def test_links_and_devices_are_no_files(tmp_path: Path, mode: int, word: str) -> None:
    (file,) = read(tmp_path, with_mode("x", mode, "/etc/passwd"))
    assert word in file.refusal


def test_encrypted_and_strangely_packed_files_are_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a.py": "secret"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert "encrypted" in read(tmp_path, bytes(data))[0].refusal
    packed = zipped({"a.py": "x" * 100}, zipfile.ZIP_LZMA)
    assert "packed by a method" in read(tmp_path, packed)[0].refusal


def test_a_damaged_file_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    data = zipped({"a.py": "A" * 20, "b.py": "b"}, zipfile.ZIP_STORED)
    files = read(tmp_path, data.replace(b"A" * 20, b"B" * 20))
    assert "damaged" in files[0].refusal
    assert files[1].content == b"b"


def test_a_large_file_is_not_unpacked(tmp_path: Path) -> None:
    (file,) = read(tmp_path, zipped({"zeros": b"\0" * 5_000_000}))
    assert file == SourceFile("zeros", 5_000_000, None)


def test_a_file_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    data = zipped({"a.py": "x" * 900})
    size, lie = struct.pack("<I", 900), struct.pack("<I", 10)
    (file,) = read(tmp_path, data.replace(size, lie))
    assert "damaged" in file.refusal


def test_files_that_share_bytes_are_refused(tmp_path: Path) -> None:
    """As in overlap bombs, where thousands of entries name one member."""
    data = zipped({"a.py": "x" * 50, "b.py": "y" * 50}, zipfile.ZIP_STORED)
    directory = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", directory + 4)
    offset = slice(second + 42, second + 46)
    forged = bytearray(data)
    forged[offset] = struct.pack("<I", 0)
    assert all("shares its bytes" in file.refusal for file in read(tmp_path, bytes(forged)))


def test_limits_end_the_reading_with_a_sentence(tmp_path: Path) -> None:
    many = {f"{number}.py": "x" * 900 for number in range(20)}
    files = read(tmp_path, zipped(many))
    assert "unpacks to more than 10000 bytes" in files[-1].refusal
    assert len(files) == 12
    few = ReadLimits(max_file_bytes=1000, max_files=3, max_unpacked_bytes=10_000)
    files = read(tmp_path, zipped(many), few)
    assert [bool(file.refusal) for file in files] == [False, False, False, True]


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive at all" * 10])
def test_what_is_no_archive_is_damaged(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(DamagedArchive, match="cannot be opened"):
        read(tmp_path, data)


def test_a_cut_archive_is_damaged(tmp_path: Path) -> None:
    data = zipped({"a.py": "x" * 500, "b.py": "y"})
    for length in range(1, len(data), 7):
        with pytest.raises(DamagedArchive):
            read(tmp_path, data[:length])
