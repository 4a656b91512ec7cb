from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.datascan.loss_memory import LossMemory, delete_losses, losses_place
from services.datascan.replicas import TextLoss

GOOD, BAD = TextLoss(1.25, 40), TextLoss(3.5, 7)


@contextmanager
def memory(folder: Path, scan_id: str = "scan-1", scorer: str = "m") -> Iterator[LossMemory]:
    found = LossMemory(losses_place(folder, "web"), scan_id, scorer)
    yield found
    found.close()


def test_a_loss_is_known_for_its_text_and_its_scorer(tmp_path: Path) -> None:
    with memory(tmp_path) as first:
        first.keep({"a": GOOD, "b": BAD, "no loss": TextLoss(None, 1)})
    with memory(tmp_path, "scan-2") as second:
        assert second.known(["a", "b", "no loss", "other"]) == {"a": GOOD, "b": BAD}
    with memory(tmp_path, "scan-2", scorer="other") as other:
        assert other.known(["a"]) == {}


def test_what_was_kept_outlives_a_process_that_was_killed(tmp_path: Path) -> None:
    """Another connection sees it while the first one is neither closed nor at its end."""
    with memory(tmp_path) as killed:
        killed.keep({"a": GOOD})
        with memory(tmp_path) as next_attempt:
            assert next_attempt.known(["a"]) == {"a": GOOD}


def test_what_the_last_scans_did_not_see_is_forgotten(tmp_path: Path) -> None:
    for number in range(4):
        with memory(tmp_path, f"scan-{number}") as one:
            known = one.known(["kept"])
            if not known:
                one.keep({"kept": GOOD, f"seen by {number}": BAD})
            for _ in range(3):  # attempts of the same scan
                one.forget_unseen(2)
    with memory(tmp_path, "scan-9") as last:
        assert last.known(["kept", "seen by 0"]) == {"kept": GOOD}
    with sqlite3.connect(losses_place(tmp_path, "web")) as db:
        assert db.execute("SELECT count(*) FROM losses").fetchone() == (1,)
    db.close()


def test_it_is_cleared_once_in_a_scan(tmp_path: Path) -> None:
    with memory(tmp_path) as first:
        first.keep({"a": GOOD})
    with memory(tmp_path, "scan-2") as second:
        second.clear()
        assert second.known(["a"]) == {}
        second.keep({"b": BAD})
    with memory(tmp_path, "scan-2") as next_attempt:
        next_attempt.clear()
        assert next_attempt.known(["a", "b"]) == {"b": BAD}


def test_a_damaged_one_begins_anew_and_a_deleted_one_is_gone(tmp_path: Path) -> None:
    place = losses_place(tmp_path, "web")
    with memory(tmp_path) as first:
        first.keep({str(number): GOOD for number in range(1000)})
    content = place.read_bytes()
    for damaged in (b"no database" * 100, content[: len(content) // 2]):
        place.write_bytes(damaged)
        with memory(tmp_path) as again:
            assert again.known(["1"]) == {}
            again.keep({"1": GOOD})
    delete_losses(tmp_path, "web")
    assert list(tmp_path.rglob("*.sqlite*")) == []
