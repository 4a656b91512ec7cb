"""Reading verdicts page by page, in any order, while the scan runs or long after.

A page begins after the last row of the page before (keyset), so that the thousandth page costs as
much as the first one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.cluster.errors import BadRequest, NotFound
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.datascan.pages import bad_token, page_size
from services.datascan.tallies import Tallies, tallies
from services.datascan.verdict_rows import COLUMNS, VerdictRow

_MAX_CONTAINS_CHARS = 200
_NUMBER_LIMIT = 2**63
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM files"
_ORDERS = {
    pb.VERDICT_ORDER_UNSPECIFIED: "file_number",
    pb.VERDICT_ORDER_PATH: "path",
    pb.VERDICT_ORDER_SIZE: "size_bytes",
    pb.VERDICT_ORDER_LOSS: "loss",
    pb.VERDICT_ORDER_LANGUAGE: "language",
    pb.VERDICT_ORDER_REASON: "reason",
}


@contextmanager
def reading(place: Path) -> Iterator[sqlite3.Connection]:
    """Raises NotFound when the scan left no verdicts here."""
    if not place.is_file():
        raise NotFound("This scan has no verdicts: it has not begun, or they were deleted.")
    db = sqlite3.connect(f"file:{place}?mode=ro", uri=True, timeout=30.0)
    try:
        yield db
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        raise NotFound("This scan has no verdicts yet.") from None
    finally:
        db.close()


def page_of(place: Path, request: pb.ListVerdictsRequest) -> tuple[list[VerdictRow], str]:
    """The rows and the token of the next page. Raises BadRequest and NotFound."""
    size = page_size(request.page_size)
    if request.order not in _ORDERS:
        raise BadRequest("order is none of VerdictOrder.", param="order")
    column = _ORDERS[request.order]
    conditions, values = _conditions(request)
    if request.page_token:
        after = _after(request)
        condition, more = _beyond(column, request.descending, after)
        conditions.append(condition)
        values += more
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    way = "DESC" if request.descending else "ASC"
    order = (
        f" ORDER BY {column} {way} NULLS LAST, file_number"
        if column != "file_number"
        else (f" ORDER BY file_number {way}")
    )
    with reading(place) as db:
        found = db.execute(f"{_SELECT}{where}{order} LIMIT ?", [*values, size + 1]).fetchall()
    rows = [VerdictRow(*row) for row in found[:size]]
    if len(found) <= size:
        return rows, ""
    return rows, _token(request, [getattr(rows[-1], column), rows[-1].file_number])


def row_of(place: Path, file_number: int) -> tuple[VerdictRow, str | None]:
    """The row, and the text when stage 1 accepted the file. Raises NotFound."""
    wanted = min(file_number, _NUMBER_LIMIT - 1)  # SQLite takes none that is larger
    with reading(place) as db:
        found = db.execute(f"{_SELECT} WHERE file_number = ?", (wanted,)).fetchone()
        body = db.execute("SELECT body FROM texts WHERE file_number = ?", (wanted,)).fetchone()
    if not found:
        raise NotFound(f"This scan has no file number {file_number}.")
    return VerdictRow(*found), zlib.decompress(body[0]).decode() if body else None


def place_in_source(place: Path, row: VerdictRow) -> int:
    """How many files of its source come before a file."""
    with reading(place) as db:
        found = db.execute(
            "SELECT count(*) FROM files WHERE source_id = ? AND file_number < ?",
            (row.source_id, row.file_number),
        )
        return int(found.fetchone()[0])


def tallies_of(place: Path) -> Tallies:
    """Zero while there are no verdicts."""
    try:
        with reading(place) as db:
            return tallies(db)
    except NotFound:
        return Tallies()


def _conditions(request: pb.ListVerdictsRequest) -> tuple[list[str], list[Any]]:
    if len(request.path_contains) > _MAX_CONTAINS_CHARS:
        raise BadRequest(
            f"path_contains must have at most {_MAX_CONTAINS_CHARS} characters.",
            param="path_contains",
        )
    conditions: list[str] = []
    values: list[Any] = []

    def want(condition: str, *given: Any) -> None:
        conditions.append(condition)
        values.extend(given)

    if request.HasField("accepted"):
        want("accepted = ?", int(request.accepted))
    for column, wanted in (
        ("reason", request.reasons),
        ("language", request.languages),
        ("source_id", request.source_ids),
    ):
        if wanted:
            want(f"{column} IN (SELECT value FROM json_each(?))", json.dumps(list(wanted)))
    if request.HasField("split"):
        want("split = ?", request.split)
    if request.path_contains:
        want("instr(lower(path), lower(?)) > 0", request.path_contains)
    if request.HasField("min_loss"):
        want("loss >= ?", request.min_loss)
    if request.HasField("max_loss"):
        want("loss <= ?", request.max_loss)
    return conditions, values


def _beyond(column: str, descending: bool, after: list[Any]) -> tuple[str, list[Any]]:
    """What holds for the rows after one; rows without a value are last in both directions."""
    value, number = after
    sign = "<" if descending else ">"
    if column == "file_number":
        return f"file_number {sign} ?", [number]
    if value is None:
        return f"({column} IS NULL AND file_number > ?)", [number]
    return (
        f"({column} {sign} ? OR {column} IS NULL OR ({column} = ? AND file_number > ?))",
        [value, value, number],
    )


def _token(request: pb.ListVerdictsRequest, after: list[Any]) -> str:
    data = json.dumps([_digest(request), *after]).encode()
    return base64.urlsafe_b64encode(data).decode()


def _after(request: pb.ListVerdictsRequest) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(request.page_token))
    except (ValueError, RecursionError):
        raise bad_token() from None
    match found:
        case [str(digest), value, int(number)] if digest == _digest(request):
            if _is_storable(value) and _is_storable(number):
                return [value, number]
    raise bad_token()


def _is_storable(value: object) -> bool:
    """SQLite has integers of 64 bits, and text in UTF-8, which cannot hold half a surrogate."""
    if isinstance(value, int):
        return -_NUMBER_LIMIT <= value < _NUMBER_LIMIT
    if isinstance(value, str):
        return not any("\ud800" <= char <= "\udfff" for char in value)
    return value is None or isinstance(value, float)


def _digest(request: pb.ListVerdictsRequest) -> str:
    same = pb.ListVerdictsRequest()
    same.CopyFrom(request)
    same.page_token = ""
    same.page_size = 0
    return hashlib.sha256(same.SerializeToString(deterministic=True)).hexdigest()[:12]
