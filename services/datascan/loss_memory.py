"""Losses of a project's texts as earlier scans were told them: what has not changed is not asked
again.

It holds nothing that a replica would not say again, so a damaged one is thrown away. It is as large
as what the last scans saw.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.datascan.replicas import TextLoss
from services.datascan.verdict_store import delete_scan, scan_place

log = logging.getLogger(__name__)

_BUSY_SECONDS = 30.0
# `seen` is the number of scans that had ended when a text was last seen.
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (one INTEGER PRIMARY KEY CHECK (one = 1),"
    " num_ended INTEGER NOT NULL, ended_by TEXT NOT NULL, cleared_by TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS losses (key BLOB PRIMARY KEY, bits_per_byte REAL NOT NULL,"
    " num_tokens INTEGER NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT OR IGNORE INTO meta VALUES (1, 0, '', '')",
)


def losses_place(data_dir: Path, project_id: str) -> Path:
    return scan_place(data_dir, _name(project_id))


def delete_losses(data_dir: Path, project_id: str) -> None:
    delete_scan(data_dir, _name(project_id))


class LossMemory:
    """Used by one thread at a time, for one scan. `scorer` names what the losses depend on."""

    def __init__(self, place: Path, scan_id: str, scorer: str) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        self._db = _opened(place)
        self._scan_id = scan_id
        self._scorer = scorer

    def close(self) -> None:
        self._db.close()

    def clear(self) -> None:
        """Once in a scan: its next attempt keeps what it was told since."""
        with self._writing() as db:
            (cleared_by,) = db.execute("SELECT cleared_by FROM meta").fetchone()
            if cleared_by != self._scan_id:
                db.execute("DELETE FROM losses")
                db.execute("UPDATE meta SET cleared_by = ?", (self._scan_id,))

    def known(self, texts: Sequence[str]) -> dict[str, TextLoss]:
        found: dict[str, TextLoss] = {}
        with self._writing() as db:
            for text in texts:
                key = self._key(text)
                row = db.execute(
                    "SELECT bits_per_byte, num_tokens FROM losses WHERE key = ?", (key,)
                ).fetchone()
                if row:
                    found[text] = TextLoss(*row)
                    db.execute(
                        "UPDATE losses SET seen = (SELECT num_ended FROM meta) WHERE key = ?",
                        (key,),
                    )
        return found

    def keep(self, losses: Mapping[str, TextLoss]) -> None:
        """By text. What has no loss is asked again: the next answer may be another."""
        with self._writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO losses SELECT ?, ?, ?, num_ended FROM meta",
                [
                    (self._key(text), loss.bits_per_byte, loss.num_tokens)
                    for text, loss in losses.items()
                    if loss.bits_per_byte is not None
                ],
            )

    def forget_unseen(self, num_scans: int) -> None:
        """The scan has seen all it will: what the last scans, this one included, did not see goes.

        Another attempt of the same scan does not count again.
        """
        with self._writing() as db:
            db.execute(
                "UPDATE meta SET num_ended = num_ended + 1, ended_by = ? WHERE ended_by != ?",
                (self._scan_id, self._scan_id),
            )
            db.execute(
                "DELETE FROM losses WHERE seen < (SELECT num_ended FROM meta) - ?", (num_scans,)
            )

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._scorer}\0{text}".encode()).digest()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield self._db


def _name(project_id: str) -> str:
    return f"losses-{project_id}"


def _opened(place: Path) -> sqlite3.Connection:
    try:
        return _connected(place)
    except sqlite3.OperationalError:  # a full disk or a lock is no damage
        raise
    except sqlite3.DatabaseError as error:
        log.warning("stored losses are damaged and forgotten", extra={"reason": str(error)})
        for suffix in ("", "-wal", "-shm"):
            place.with_name(place.name + suffix).unlink(missing_ok=True)
        return _connected(place)


def _connected(place: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        place, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        (state,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        for statement in _SCHEMA:
            db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db
