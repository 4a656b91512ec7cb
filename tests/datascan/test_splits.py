from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.project_records import SourceSplit
from services.datascan.splits import assign_splits, side
from services.datascan.verdict_rows import Split
from tests.datascan.archives import program, zipped
from tests.datascan.verdicts import filtered, source_of, store_in


@given(st.sampled_from(list(SourceSplit)), st.booleans(), st.booleans(), st.floats(0, 0.5))
def test_a_source_that_is_for_one_half_decides(
    split: SourceSplit, with_train: bool, with_test: bool, test_share: float
) -> None:
    found = side(split, with_train, with_test, "8" * 64, test_share)
    if split is SourceSplit.TRAIN:
        assert found is Split.TRAIN
    if split is SourceSplit.TEST:
        assert found is Split.TEST
    if split is SourceSplit.AUTO and not with_train:
        assert (found is Split.TEST) == with_test  # that content falls into train by itself


def splits_of(
    tmp_path: Path, files: dict[str, str | bytes], test_share: float, split: SourceSplit
) -> dict[str, int]:
    part = source_of(tmp_path, "web", zipped(files), split)
    verdicts = store_in(tmp_path)
    filtered(verdicts, [part])
    assign_splits(verdicts, {part.source.source_id: split}, test_share)
    found = dict(verdicts.database.execute("SELECT path, split FROM files").fetchall())
    verdicts.close()
    (tmp_path / "scan.sqlite").unlink()
    return found


def programs(num_files: int, num_lines: int = 5) -> dict[str, str | bytes]:
    return {f"{number}.py": program(number, num_lines) for number in range(num_files)}


def test_files_fall_by_their_content_whatever_else_there_is(tmp_path: Path) -> None:
    auto = SourceSplit.AUTO
    many = splits_of(tmp_path, programs(300), 0.1, auto)
    num_test = sum(split == Split.TEST for split in many.values())
    assert 10 <= num_test <= 55
    more = splits_of(tmp_path, programs(350), 0.1, auto)
    assert many.items() <= more.items()


@pytest.mark.parametrize("test_share", [0.0001, 0.4])
def test_no_half_is_empty_when_there_are_two_files(tmp_path: Path, test_share: float) -> None:
    for seed in range(5):
        files: dict[str, str | bytes] = {"a.py": program(seed), "b.py": program(seed + 50)}
        found = splits_of(tmp_path, files, test_share, SourceSplit.AUTO)
        assert sorted(found.values()) == [Split.TRAIN, Split.TEST]


def test_a_test_half_that_nobody_wants_stays_empty(tmp_path: Path) -> None:
    found = splits_of(tmp_path, programs(5), 0.0, SourceSplit.AUTO)
    assert set(found.values()) == {Split.TRAIN}
    found = splits_of(tmp_path, programs(5), 0.5, SourceSplit.TRAIN)
    assert set(found.values()) == {Split.TRAIN}


def test_a_rejected_file_is_in_no_half(tmp_path: Path) -> None:
    found = splits_of(tmp_path, {**programs(3), "x.bin": b"\0"}, 0.1, SourceSplit.AUTO)
    assert found["web/x.bin"] == Split.NONE


def test_files_that_are_somewhat_alike_go_together(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {}
    for seed in range(40):
        lines = program(seed, 40).splitlines()
        files[f"{seed}-a.py"] = "\n".join(lines)
        files[f"{seed}-b.py"] = "\n".join([*lines[:-8], *program(seed + 900, 8).splitlines()])
    found = splits_of(tmp_path, files, 0.3, SourceSplit.AUTO)
    assert set(found.values()) == {Split.TRAIN, Split.TEST}
    for seed in range(40):
        assert found[f"web/{seed}-a.py"] == found[f"web/{seed}-b.py"]
