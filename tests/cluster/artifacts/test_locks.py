from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.cluster import durable_files
from services.cluster.artifacts.locks import locked
from services.cluster.errors import Unavailable
from tests.cluster.artifacts.waiting import wait_for_opened


def enter(place: Path, wait_seconds: float) -> str:
    with locked(place, wait_seconds):
        return place.read_text()


def test_one_holds_it_at_a_time_and_many_share_it(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    with pytest.raises(FileNotFoundError), locked(place):
        pass
    with locked(place, make=True), pytest.raises(Unavailable, match="for 0 s"):
        enter(place, 0)
    with locked(place, shared=True), locked(place, 0, shared=True), pytest.raises(Unavailable):
        enter(place, 0)
    assert enter(place, 0) == ""


def test_whoever_waited_for_a_file_that_was_replaced_waits_for_the_new_one(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    place.write_text("old")
    with ThreadPoolExecutor() as pool, ExitStack() as new:
        with locked(place):
            waiting = pool.submit(enter, place, 0.5)
            wait_for_opened(place, 2)
            durable_files.write(place, "new")
            new.enter_context(locked(place, 0))
        with pytest.raises(Unavailable):
            waiting.result(30)
        new.close()
        assert pool.submit(enter, place, 0).result(30) == "new"


def test_a_folder_is_locked_like_a_file_and_a_rename_keeps_its_lock(tmp_path: Path) -> None:
    place, moved = tmp_path / "folder", tmp_path / "moved"
    with pytest.raises(FileNotFoundError), locked(place, 0):
        pass
    place.mkdir()
    with locked(place, 0):
        place.rename(moved)
        with pytest.raises(Unavailable), locked(moved, 0):
            pass
    with locked(moved, 0):
        assert list(moved.iterdir()) == []


def test_whoever_waited_for_a_file_that_was_deleted_finds_none(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    place.touch()
    with ThreadPoolExecutor() as pool:
        with locked(place):
            waiting = pool.submit(enter, place, 30)
            wait_for_opened(place, 2)
            os.unlink(place)
        with pytest.raises(FileNotFoundError):
            waiting.result(30)
