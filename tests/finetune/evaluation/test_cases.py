from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.finetune.evaluation.cases import Case, cut_cases
from services.finetune.files import DatasetFile
from tests.finetune.datasets import dataset_files


def test_a_case_is_a_part_of_its_file() -> None:
    (file,) = dataset_files(range(1))
    cases = cut_cases([file], 10, seed=1)
    assert len(cases) == 10
    for case in cases:
        assert case.prefix + case.middle + case.suffix in file.text
        assert case.middle.strip()
        assert not case.middle.endswith("\n")


def test_a_files_cases_stay_when_other_files_come() -> None:
    files = dataset_files(range(4))
    few, more = cut_cases(files[:2], 8, 0), cut_cases(files, 16, 0)
    assert few == more[:8]


def test_no_more_cases_than_asked_for() -> None:
    assert len(cut_cases(dataset_files(range(20)), 7, 0)) == 7
    assert cut_cases([], 7, 0) == []


@given(st.text(max_size=200), st.integers(1, 20))
def test_any_file_is_cut_without_a_fault(text: str, number: int) -> None:
    file = DatasetFile(path="a", language="", text=text, sha256="x")
    for case in cut_cases([file], number, 0):
        assert case.prefix + case.middle + case.suffix in text


def test_an_answer_is_as_long_as_the_middle() -> None:
    case = Case("a.py", "Python", "", "one\ntwo", "")
    assert case.trimmed("one\ntwo\nthree") == "one\ntwo"
