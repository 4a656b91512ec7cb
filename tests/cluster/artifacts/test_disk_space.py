from __future__ import annotations

import errno
from pathlib import Path

import pytest

from services.cluster.artifacts.disk_space import (
    ensure_space,
    free_bytes,
    readable_size,
    telling_full_disk,
)
from services.cluster.errors import OutOfDisk


def test_the_sentence_says_what_is_needed_what_is_free_and_where(tmp_path: Path) -> None:
    later = tmp_path / "not" / "there"
    ensure_space(later, 1, reserve_bytes=0)
    free = free_bytes(later)
    with pytest.raises(OutOfDisk) as refused:
        ensure_space(later, 2 * free, reserve_bytes=1536)
    assert str(later) in refused.value.message
    assert readable_size(2 * free) in refused.value.message
    assert "1.5 KiB have to stay free" in refused.value.message
    with pytest.raises(OutOfDisk):
        ensure_space(later, 1, reserve_bytes=2 * free)
    ensure_space(later, 0, reserve_bytes=2 * free)  # nothing is to be written


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 * 1024**4, "5.0 TiB")],
)
def test_sizes_are_readable(num_bytes: int, text: str) -> None:
    assert readable_size(num_bytes) == text


def test_only_a_full_volume_is_out_of_disk(tmp_path: Path) -> None:
    with pytest.raises(OutOfDisk, match="is full"), telling_full_disk(tmp_path):
        raise OSError(errno.ENOSPC, "no space")
    with pytest.raises(FileNotFoundError), telling_full_disk(tmp_path):
        (tmp_path / "x").read_text()
