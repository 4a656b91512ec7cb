from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from services.cluster.errors import LeaseLost
from services.cluster.project_records import SourceSplit
from services.datascan.filters import Filters, Reason
from services.datascan.readers import ReadLimits
from services.datascan.stage_one import in_order, stage_one
from services.datascan.verdict_rows import COLUMNS, Step
from tests.datascan.archives import program, tarred, zipped
from tests.datascan.verdicts import LIMITS, filtered, source_of, store_in


def nearly(seed: int) -> str:
    lines = program(seed, 60).splitlines()
    return "\n".join([*lines[:-4], "    return None"]) + "\n"


def test_each_file_has_one_verdict_in_order(tmp_path: Path) -> None:
    part = source_of(
        tmp_path, "web", zipped({"a.py": program(1), "b.bin": b"\0", "c.py": program(2)})
    )
    rows = filtered(store_in(tmp_path), [part])
    assert [(row.file_number, row.path, row.accepted) for row in rows] == [
        (1, "web/a.py", True),
        (2, "web/b.bin", False),
        (3, "web/c.py", True),
    ]
    assert rows[1].step == Step.READ
    assert rows[0].content_sha256


def test_duplicates_name_the_file_that_is_kept(tmp_path: Path) -> None:
    content = {
        "a.py": program(1, 60),
        "same.py": program(1, 60).replace("\n", "  \r\n"),
        "near.py": nearly(1),
        "other.py": program(2, 60),
    }
    rows = filtered(store_in(tmp_path), [source_of(tmp_path, "web", zipped(content))])
    assert [(row.accepted, row.reason, row.duplicate_file_number) for row in rows] == [
        (True, 0, 0),
        (False, Reason.DUPLICATE, 1),
        (False, Reason.NEAR_DUPLICATE, 1),
        (True, 0, 0),
    ]
    assert rows[1].detail == "It has the content of web/a.py."
    assert "of it and of web/a.py are the same." in rows[2].detail


def test_the_similarity_that_counts_is_a_threshold(tmp_path: Path) -> None:
    content = zipped({"a.py": program(1, 60), "near.py": nearly(1)})
    strict = Filters(near_duplicate_similarity=1.0)
    rows = filtered(store_in(tmp_path), [source_of(tmp_path, "web", content)], strict)
    assert [row.accepted for row in rows] == [True, True]
    assert rows[0].group_number == rows[1].group_number  # and so they go to one half


def test_a_rejected_file_is_no_original(tmp_path: Path) -> None:
    content = zipped({"vendor/a.py": program(1), "src/a.py": program(1)})
    rows = filtered(store_in(tmp_path), [source_of(tmp_path, "web", content)])
    assert [(row.accepted, row.reason) for row in rows] == [(False, Reason.VENDORED), (True, 0)]


def test_an_included_duplicate_is_kept(tmp_path: Path) -> None:
    content = zipped({"a.py": program(1), "b.py": program(1)})
    filters = Filters(include_masks=("b.py",))
    rows = filtered(store_in(tmp_path), [source_of(tmp_path, "web", content)], filters)
    assert (rows[1].accepted, rows[1].forced, rows[1].reason) == (True, True, 0)
    assert rows[1].reasons == f",{int(Reason.DUPLICATE)},"


def test_of_a_train_and_a_test_source_test_keeps_the_file(tmp_path: Path) -> None:
    train = source_of(tmp_path, "a", zipped({"x.py": program(1)}), SourceSplit.TRAIN)
    test = source_of(tmp_path, "b", zipped({"x.py": program(1)}), SourceSplit.TEST)
    parts = {part.source.name: part for part in (train, test)}
    ordered = [parts[source.name] for source in in_order([train.source, test.source])]
    rows = filtered(store_in(tmp_path), ordered)
    assert [(row.path, row.accepted) for row in rows] == [("b/x.py", True), ("a/x.py", False)]


@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_later_attempt_ends_as_one_that_was_not_stopped(tmp_path: Path, make: object) -> None:
    assert callable(make)
    name = "tar" if make is tarred else "zip"
    content = make({f"{n}.py": program(n % 300, 60) for n in range(700)})
    part = source_of(tmp_path, "web", content)
    source = part.source.model_copy(update={"file_name": f"x.{name}"})
    part = type(part)(source, part.place)
    whole = filtered(store_in(tmp_path / "whole"), [part])

    first = store_in(tmp_path, token=1)
    list(islice(stage_one([part], first, Filters(), LIMITS), 450))
    first.close()
    second = store_in(tmp_path, token=2)
    resumed_after = second.last_number()
    assert 0 < resumed_after < 450
    rest = filtered(second, [part])
    assert len(rest) == 700 - resumed_after
    rows = second.database.execute(f"SELECT {', '.join(COLUMNS)} FROM files").fetchall()
    assert rows == [tuple(getattr(row, name) for name in COLUMNS) for row in whole]


def test_an_attempt_that_was_replaced_writes_nothing(tmp_path: Path) -> None:
    part = source_of(tmp_path, "web", zipped({"a.py": program(1)}))
    old = store_in(tmp_path, token=1)
    old.database.execute("COMMIT")
    new = store_in(tmp_path, token=2)
    new.database.execute("COMMIT")
    old.database.execute("BEGIN IMMEDIATE")
    with pytest.raises(LeaseLost):
        filtered(old, [part])
    assert new.last_number() == 0


def test_verdicts_on_other_sources_are_forgotten(tmp_path: Path) -> None:
    part = source_of(tmp_path, "web", zipped({"a.py": program(1)}))
    first = store_in(tmp_path)
    filtered(first, [part])
    first.close()
    assert store_in(tmp_path, inputs="others").last_number() == 0


def test_an_archive_that_became_unreadable_costs_its_own_verdict(tmp_path: Path) -> None:
    broken = source_of(tmp_path, "a", b"no zip")
    good = source_of(tmp_path, "b", zipped({"x.py": program(1)}))
    rows = filtered(store_in(tmp_path), [broken, good])
    assert [row.reason for row in rows] == [Reason.LINGUIST_ERROR, 0]
    assert "cannot be opened" in rows[0].detail


def test_reading_that_ended_early_does_not_begin_again(tmp_path: Path) -> None:
    few = ReadLimits(max_file_bytes=1000, max_files=2, max_unpacked_bytes=10**6)
    content = zipped({f"{number}.py": program(number, 3) for number in range(5)})
    part = source_of(tmp_path, "web", content)
    first = store_in(tmp_path)
    rows = list(stage_one([part], first, Filters(), few))
    assert [row.accepted for row in rows] == [True, True, False]
    first.close()
    later = store_in(tmp_path, token=2)
    assert list(stage_one([part], later, Filters(), few)) == []
    assert later.last_number() == 3
