from __future__ import annotations

from pathlib import Path

import pytest

from services.cluster.errors import BadRequest
from services.datascan.readers import ReadLimits, SourceFile, ending, read

LIMITS = ReadLimits(max_file_bytes=10, max_files=10, max_unpacked_bytes=1000)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("a.zip", ".zip"),
        ("A.ZIP", ".zip"),
        ("a.tar.gz", ".tar.gz"),
        ("a.b.tgz", ".tgz"),
        ("a.tar.bz2", ".tar.bz2"),
        ("a.py", ""),
        ("zip", ""),
        ("Makefile", ""),
    ],
)
def test_the_name_says_which_archive(name: str, end: str) -> None:
    assert ending(name) == end


@pytest.mark.parametrize("name", ["a.7z", "a.tar.xz", "a.rar", "a.py.gz", "a.tar.zst"])
def test_an_archive_that_is_not_read_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=r"upload a \.zip"):
        ending(name)


def test_a_single_file_is_its_own_source(tmp_path: Path) -> None:
    place = tmp_path / "content"
    place.write_bytes(b"x = 1\n")
    assert list(read(place, "a.py", LIMITS)) == [SourceFile("a.py", 6, b"x = 1\n")]
    assert list(read(place, "a.py", LIMITS, 1)) == []
    place.write_bytes(b"x" * 11)
    assert list(read(place, "a\n.py", LIMITS)) == [SourceFile("a\\x0a.py", 11, None)]
