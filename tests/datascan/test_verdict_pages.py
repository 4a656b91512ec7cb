from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from services.cluster.errors import BadRequest, NotFound
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.datascan.verdict_pages import page_of, place_in_source, row_of, tallies_of
from services.datascan.verdict_rows import VerdictRow
from services.datascan.verdict_store import scan_place
from tests.datascan.verdicts import store_in

LOSSES = [None, 2.0, 1.0, None, 2.0, 3.5, None, 0.5]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    store = store_in(tmp_path)
    for number, loss in enumerate(LOSSES, 1):
        store.add(
            VerdictRow(
                file_number=number,
                source_id=f"s{number % 2}",
                path=f"web/{chr(105 - number)}.py",
                accepted=number % 3 != 0,
                step=2,
                size_bytes=number % 4,
                reason=0 if number % 3 else 14,
                reasons="" if number % 3 else ",14,",
                language="Python" if number < 5 else "Go",
                loss=loss,
                num_tokens=10 if loss else 0,
            )
        )
    store.commit()
    store.close()
    return tmp_path / "scan.sqlite"


def all_pages(place: Path, request: pb.ListVerdictsRequest, size: int = 2) -> list[int]:
    numbers: list[int] = []
    request.page_size = size
    while True:
        rows, request.page_token = page_of(place, request)
        assert len(rows) <= size
        numbers += [row.file_number for row in rows]
        if not request.page_token:
            return numbers


ORDERS = [
    (pb.VERDICT_ORDER_UNSPECIFIED, [1, 2, 3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3, 2, 1]),
    (pb.VERDICT_ORDER_PATH, [8, 7, 6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6, 7, 8]),
    (pb.VERDICT_ORDER_SIZE, [4, 8, 1, 5, 2, 6, 3, 7], [3, 7, 2, 6, 1, 5, 4, 8]),
    (pb.VERDICT_ORDER_LOSS, [8, 3, 2, 5, 6, 1, 4, 7], [6, 2, 5, 3, 8, 1, 4, 7]),
    (pb.VERDICT_ORDER_LANGUAGE, [5, 6, 7, 8, 1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
    (pb.VERDICT_ORDER_REASON, [1, 2, 4, 5, 7, 8, 3, 6], [3, 6, 1, 2, 4, 5, 7, 8]),
]


@pytest.mark.parametrize(("order", "ascending", "descending"), ORDERS)
def test_pages_of_every_order_join_without_gaps(
    place: Path,
    order: pb.VerdictOrder.ValueType,
    ascending: list[int],
    descending: list[int],
) -> None:
    for size in (1, 3, 100):
        assert all_pages(place, pb.ListVerdictsRequest(order=order), size) == ascending
        request = pb.ListVerdictsRequest(order=order, descending=True)
        assert all_pages(place, request, size) == descending


@pytest.mark.parametrize(
    ("request_", "numbers"),
    [
        (pb.ListVerdictsRequest(accepted=True), [1, 2, 4, 5, 7, 8]),
        (pb.ListVerdictsRequest(accepted=False), [3, 6]),
        (pb.ListVerdictsRequest(reasons=[14]), [3, 6]),  # type: ignore[list-item]
        (pb.ListVerdictsRequest(languages=["Go"], source_ids=["s1"]), [5, 7]),
        (pb.ListVerdictsRequest(path_contains="/A.P"), [8]),
        (pb.ListVerdictsRequest(path_contains="%"), []),
        (pb.ListVerdictsRequest(min_loss=1.0, max_loss=2.0), [2, 3, 5]),
        (pb.ListVerdictsRequest(split=pb.DATASET_SPLIT_TEST), []),
    ],
)
def test_filters_must_all_hold(
    place: Path, request_: pb.ListVerdictsRequest, numbers: list[int]
) -> None:
    assert all_pages(place, request_) == numbers


def test_a_token_is_good_for_its_own_request_only(place: Path) -> None:
    _, token = page_of(place, pb.ListVerdictsRequest(page_size=2))
    for request in (
        pb.ListVerdictsRequest(page_token=token, accepted=True),
        pb.ListVerdictsRequest(page_token="bm9uc2Vuc2U="),
        pb.ListVerdictsRequest(page_token="WzEsMl0="),
        pb.ListVerdictsRequest(page_token="%%%"),
        pb.ListVerdictsRequest(page_size=-1),
        pb.ListVerdictsRequest(path_contains="x" * 201),
        pb.ListVerdictsRequest(order=77),  # type: ignore[arg-type]
    ):
        with pytest.raises(BadRequest):
            page_of(place, request)


@pytest.mark.parametrize("content", ["5", '{"a": 1, "b": 2, "c": 3}', "[" * 100_000, '["x", 1]'])
def test_a_token_of_another_shape_is_refused(place: Path, content: str) -> None:
    token = base64.urlsafe_b64encode(content.encode()).decode()
    with pytest.raises(BadRequest, match="page_token must come from"):
        page_of(place, pb.ListVerdictsRequest(page_token=token))


@pytest.mark.parametrize("after", [["\ud800", 1], [2**63, 1], ["a", 2**63], [[], 1], ["a", None]])
def test_a_token_that_sqlite_cannot_hold_is_refused(place: Path, after: list[object]) -> None:
    request = pb.ListVerdictsRequest(page_size=2, order=pb.VERDICT_ORDER_PATH)
    _, token = page_of(place, request)
    digest, *_ = json.loads(base64.urlsafe_b64decode(token))
    forged = base64.urlsafe_b64encode(json.dumps([digest, *after]).encode()).decode()
    request.page_token = forged
    with pytest.raises(BadRequest, match="page_token must come from"):
        page_of(place, request)


def test_a_file_by_its_number(place: Path) -> None:
    row, text = row_of(place, 3)
    assert (row.path, text) == ("web/f.py", None)
    assert place_in_source(place, row) == 1
    with pytest.raises(NotFound, match="number 99"):
        row_of(place, 99)
    with pytest.raises(NotFound, match=f"number {2**64 - 1}"):
        row_of(place, 2**64 - 1)


def test_sums(place: Path) -> None:
    sums = tallies_of(place)
    assert (sums.num_files, sums.num_accepted_files, sums.reasons) == (8, 6, ((14, 2),))
    assert [(each.language, each.num_files) for each in sums.languages] == [
        ("Go", 4),
        ("Python", 4),
    ]


def test_a_scan_that_has_not_begun_has_no_verdicts(tmp_path: Path) -> None:
    assert tallies_of(tmp_path / "none.sqlite").num_files == 0
    with pytest.raises(NotFound):
        page_of(tmp_path / "none.sqlite", pb.ListVerdictsRequest())
    (tmp_path / "empty.sqlite").touch()
    assert tallies_of(tmp_path / "empty.sqlite").num_files == 0


@pytest.mark.parametrize("scan_id", ["", "../x", "a/b", "scan-\0", "scan-é"])
def test_an_id_is_no_path(tmp_path: Path, scan_id: str) -> None:
    with pytest.raises(NotFound):
        scan_place(tmp_path, scan_id)
