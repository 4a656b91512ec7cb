from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from services.datascan.readers import ReadLimits, SourceFile, read
from services.datascan.readers.source_file import MIB, DamagedArchive
from tests.datascan.archives import tarred

LIMITS = ReadLimits(max_file_bytes=1000, max_files=100, max_unpacked_bytes=100 * MIB)
GOOD = {"src/b.py": "b" * 700, "a.py": "a", "empty.py": ""}


def read_all(
    tmp_path: Path, data: bytes, name: str = "x.tar", limits: ReadLimits = LIMITS, skip: int = 0
) -> list[SourceFile]:
    place = tmp_path / "content"
    place.write_bytes(data)
    return list(read(place, name, limits, skip))


def special(change: Callable[[tarfile.TarInfo], None]) -> bytes:
    """An entry that is no plain file, then a good one."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("x")
        change(entry)
        archive.addfile(entry)
        good = tarfile.TarInfo("good.py")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"good"))
    return buffer.getvalue()


@pytest.mark.parametrize(("mode", "name"), [("w", ".tar"), ("w:gz", ".tgz"), ("w:bz2", ".tar.bz2")])
def test_every_kind_is_read_in_order(tmp_path: Path, mode: str, name: str) -> None:
    files = read_all(tmp_path, tarred(GOOD, mode), f"x{name}")
    assert [(file.path, file.content) for file in files] == [
        (path, content.encode()) for path, content in GOOD.items()
    ]
    assert read_all(tmp_path, tarred(GOOD, mode), f"x{name}", skip=1) == files[1:]


@pytest.mark.parametrize(
    ("kind", "target", "word"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "link"),
        (tarfile.LNKTYPE, "../../x", "link"),
        (tarfile.CHRTYPE, "", "device"),
        (tarfile.FIFOTYPE, "", "pipe"),
    ],
)
def test_links_and_devices_are_no_files(
    tmp_path: Path, kind: bytes, target: str, word: str
) -> None:
    def change(entry: tarfile.TarInfo) -> None:
        entry.type, entry.linkname = kind, target

    first, second = read_all(tmp_path, special(change))
    assert word in first.refusal
    assert second.content == b"good"


def test_hostile_names_cost_their_own_file_only(tmp_path: Path) -> None:
    names = ["../../evil", "/etc/cron.d/x", "a\x07b", "x\udcff.py"]
    files = read_all(tmp_path, tarred({**dict.fromkeys(names, "x"), "good.py": "good"}))
    assert [bool(file.refusal) for file in files] == [True, True, True, True, False]
    assert files[3].path == "x\\xff.py"
    assert [place.name for place in tmp_path.iterdir()] == ["content"]


def test_a_large_file_is_passed_over(tmp_path: Path) -> None:
    files = read_all(tmp_path, tarred({"big": b"\0" * (3 * MIB), "a.py": "a"}))
    assert files == [SourceFile("big", 3 * MIB, None), SourceFile("a.py", 1, b"a")]


@pytest.mark.parametrize(("mode", "name"), [("w", "x.tar"), ("w:gz", "x.tar.gz")])
def test_an_archive_cut_anywhere_is_damaged(tmp_path: Path, mode: str, name: str) -> None:
    data = tarred(GOOD, mode)
    whole = len(data) if mode != "w" else data.rindex(b"a") + 1
    for length in range(0, whole, 61):
        with pytest.raises(DamagedArchive):
            read_all(tmp_path, data[:length], name)


def test_what_is_no_archive_is_damaged(tmp_path: Path) -> None:
    for name in ("x.tar", "x.tar.gz", "x.tar.bz2"):
        with pytest.raises(DamagedArchive, match="cannot be read"):
            read_all(tmp_path, b"print('hello')\n" * 100, name)


def test_a_bomb_ends_with_a_sentence(tmp_path: Path) -> None:
    bomb = tarred({"a.py": "a", "zeros": b"\0" * (30 * MIB), "b.py": "b"}, "w:gz")
    files = read_all(tmp_path, bomb, "x.tar.gz")
    assert files[0].content == b"a"
    assert "more than 200 times its size" in files[-1].refusal
    assert not any(file.path == "b.py" for file in files)


def test_limits_end_the_reading_with_a_sentence(tmp_path: Path) -> None:
    many = {f"{number}.py": "x" * 600 for number in range(20)}
    few = ReadLimits(max_file_bytes=1000, max_files=3, max_unpacked_bytes=MIB)
    files = read_all(tmp_path, tarred(many), limits=few)
    assert [bool(file.refusal) for file in files] == [False, False, False, True]
    small = ReadLimits(max_file_bytes=1000, max_files=100, max_unpacked_bytes=12_000)
    assert "more than 12000 bytes" in read_all(tmp_path, tarred(many), limits=small)[-1].refusal


def test_a_header_that_says_it_is_long_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A GNU long name is read at once, whatever its size."""
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 64 * MIB
    raw = entry.tobuf(tarfile.GNU_FORMAT) + b"n" * entry.size
    place = tmp_path / "content"
    place.write_bytes(gzip.compress(raw))
    roomy = ReadLimits(1000, 100, 100 * MIB, max_ratio=10**9)
    tracemalloc.start()
    (file,) = read(place, "x.tar.gz", roomy)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "header" in file.refusal
    assert peak_bytes < 8 * MIB


def test_global_headers_do_not_add_up(tmp_path: Path) -> None:
    raw = bytearray()
    for number in range(60):
        headers = {f"HEARTH.{number}": "x" * 500_000}
        raw += tarfile.TarInfo.create_pax_global_header(headers)
        raw += tarfile.TarInfo(f"{number}.py").tobuf(tarfile.USTAR_FORMAT)
    place = tmp_path / "content"
    place.write_bytes(bytes(raw) + b"\0" * 1024)
    del raw
    tracemalloc.start()
    files = list(read(place, "x.tar", LIMITS))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [file.path for file in files] == [f"{number}.py" for number in range(60)]
    assert peak_bytes < 8 * MIB
