"""The verdicts of one scan in an SQLite file, as its worker writes them.

Memory does not grow with the number of files. Every commit leaves whole verdicts behind, so that
the next attempt goes on after the last one, and is refused to an attempt that was replaced.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from services.cluster.errors import LeaseLost, NotFound
from services.datascan.verdict_rows import COLUMNS, SCHEMA, Split, VerdictRow

_BUSY_SECONDS = 30.0
_FAST = 1
_MAX_CANDIDATES = 32


def scan_place(data_dir: Path, scan_id: str) -> Path:
    """Raises NotFound for what cannot be a scan's id."""
    if not scan_id.replace("-", "").isalnum() or not scan_id.isascii():
        raise NotFound(f"There is no scan {scan_id!r}.")
    return data_dir / "scans" / f"{scan_id}.sqlite"


def delete_scan(data_dir: Path, scan_id: str) -> None:
    place = scan_place(data_dir, scan_id)
    for suffix in ("", "-wal", "-shm"):
        place.with_name(place.name + suffix).unlink(missing_ok=True)


class VerdictStore:
    """Used by one thread at a time. `token` is the attempt's fencing token."""

    def __init__(self, place: Path, inputs: str, token: int) -> None:
        """`inputs` says what is scanned: verdicts on something else are forgotten."""
        place.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(
            place, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._token = token
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")  # survives a kill; a scan can be repeated
        self._begin(inputs)

    def close(self) -> None:
        self._db.close()

    def _begin(self, inputs: str) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        tables = self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        known = self._db.execute("SELECT inputs FROM meta").fetchone() if tables else None
        if known != (inputs,):
            for (name,) in tables:
                self._db.execute(f"DROP TABLE {name}")
            for statement in SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES (1, ?, 0)", (inputs,))
        self._db.execute("UPDATE meta SET token = ?", (self._token,))
        self.commit()

    def commit(self) -> None:
        """Raises LeaseLost when a later attempt has opened the file."""
        (token,) = self._db.execute("SELECT token FROM meta").fetchone()
        if token != self._token:
            self._db.execute("ROLLBACK")
            raise LeaseLost("Another attempt of this scan has taken over.")
        self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")

    # ---- Stage 1

    def num_files(self, source_id: str) -> int:
        found = self._db.execute("SELECT count(*) FROM files WHERE source_id = ?", (source_id,))
        return int(found.fetchone()[0])

    def last_detail(self, source_id: str) -> str:
        """Of the newest verdict on a file of the source; "" when there is none."""
        found = self._db.execute(
            "SELECT detail FROM files WHERE source_id = ? ORDER BY file_number DESC LIMIT 1",
            (source_id,),
        ).fetchone()
        return str(found[0]) if found else ""

    def last_number(self) -> int:
        found = self._db.execute("SELECT coalesce(max(file_number), 0) FROM files")
        return int(found.fetchone()[0])

    def add(self, row: VerdictRow, text: str | None = None, bands: Sequence[int] = ()) -> None:
        """`text` and `bands` of a row that stage 1 accepted."""
        marks = ", ".join("?" * len(COLUMNS))
        values = [getattr(row, name) for name in COLUMNS]
        self._db.execute(f"INSERT INTO files VALUES ({marks})", values)
        if text is not None:
            body = zlib.compress(text.encode(), _FAST)
            self._db.execute("INSERT INTO texts VALUES (?, ?)", (row.file_number, body))
        self._db.executemany(
            "INSERT OR IGNORE INTO bands VALUES (?, ?)", [(band, row.file_number) for band in bands]
        )

    def with_content(self, content_key: str) -> tuple[int, str] | None:
        """Number and path of the first accepted file of this content."""
        found: tuple[int, str] | None = self._db.execute(
            "SELECT file_number, path FROM files WHERE content_key = ? AND accepted = 1"
            " ORDER BY file_number LIMIT 1",
            (content_key,),
        ).fetchone()
        return found

    def with_bands(self, bands: Sequence[int]) -> list[tuple[int, str, int]]:
        """Number, path and group of accepted files that share bands, most of them first."""
        marks = ", ".join("?" * len(bands))
        return self._db.execute(
            f"SELECT file_number, path, group_number FROM bands JOIN files USING (file_number)"
            f" WHERE band IN ({marks}) GROUP BY file_number"
            f" ORDER BY count(*) DESC, file_number LIMIT {_MAX_CANDIDATES}",
            bands,
        ).fetchall()

    def join_groups(self, groups: Sequence[int]) -> int:
        """Makes one of several groups; answers its number."""
        first = min(groups)
        for other in set(groups) - {first}:
            self._db.execute(
                "UPDATE files SET group_number = ? WHERE group_number = ? AND accepted = 1",
                (first, other),
            )
        return first

    def text(self, file_number: int) -> str:
        found = self._db.execute("SELECT body FROM texts WHERE file_number = ?", (file_number,))
        return zlib.decompress(found.fetchone()[0]).decode()

    # ---- Stage 2

    def unscored(self, after: int, max_files: int) -> list[tuple[int, str, int]]:
        """Number, path and size of the text of accepted files without a loss, by number."""
        return self._db.execute(
            "SELECT file_number, path, text_bytes FROM files"
            " WHERE accepted = 1 AND num_tokens = 0 AND file_number > ?"
            " ORDER BY file_number LIMIT ?",
            (after, max_files),
        ).fetchall()

    def num_accepted(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM files WHERE accepted = 1").fetchone()[0])

    def set_loss(
        self, file_number: int, loss: float | None, num_tokens: int, judged: Mapping[str, object]
    ) -> None:
        """`judged` are further columns that the loss decides."""
        columns: dict[str, object] = {"loss": loss, "num_tokens": num_tokens, **judged}
        changes = ", ".join(f"{name} = ?" for name in columns)
        self._db.execute(
            f"UPDATE files SET {changes} WHERE file_number = ?", [*columns.values(), file_number]
        )

    # ---- The dataset

    def accepted(self, split: Split) -> Iterator[tuple[str, str, str]]:
        """Path, language and text of the files of one half, by number."""
        rows = self._db.execute(
            "SELECT path, language, body FROM files JOIN texts USING (file_number)"
            " WHERE accepted = 1 AND split = ? ORDER BY file_number",
            (split,),
        )
        for path, language, body in rows:
            yield path, language, zlib.decompress(body).decode()

    @property
    def database(self) -> sqlite3.Connection:
        """For what is said in SQL best: splits and sums."""
        return self._db

    def settle(self) -> None:
        """Forgets what only a running scan needs."""
        self._db.execute("DELETE FROM bands")
        self.commit()
