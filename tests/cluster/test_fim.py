from __future__ import annotations

import pytest

from services.cluster.fim import FAMILIES, FimFamily, recognise

QWEN = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|endoftext|>"}
STARCODER = {"<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|endoftext|>", "<file_sep>"}


@pytest.mark.parametrize("family", FAMILIES, ids=[family.family for family in FAMILIES])
def test_a_family_is_recognised_by_its_tokens(family: FimFamily) -> None:
    assert recognise({*family.tokens, *family.stops, "<|other|>"}) is family
    assert recognise(set(family.tokens[1:])) is not family


@pytest.mark.parametrize("family", FAMILIES, ids=[family.family for family in FAMILIES])
def test_a_row_of_the_table_is_whole(family: FimFamily) -> None:
    assert family.order.count("{prefix}") == family.order.count("{suffix}") == 1
    assert {family.prefix, family.suffix, family.cursor_token} <= set(family.tokens)
    assert not family.middle or family.middle in family.tokens
    assert family.stops


def test_families_with_the_same_marks_are_told_apart_by_their_stops() -> None:
    marks = {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}
    for stops, name in (
        ({"<|endoftext|>", "<|fim_pad|>"}, "qwen2.5-coder"),
        ({"<bos>", "<eos>", "<|file_separator|>"}, "codegemma"),
        ({"<|end_of_text|>", "<|filename|>"}, "granite"),
    ):
        found = recognise(marks | stops)
        assert found is not None
        assert found.family == name


def test_a_model_without_the_tokens_has_no_family() -> None:
    assert recognise(set()) is None
    assert recognise({"<|fim_prefix|>", "<|fim_middle|>"}) is None


def test_the_stops_are_those_that_the_model_has() -> None:
    family = recognise(QWEN)
    assert family is not None
    ids = {text: number for number, text in enumerate(sorted(QWEN))}
    assert set(family.stop_token_ids(ids)) == set(ids.values())
    record = family.record(QWEN)
    assert (record.end, record.extra_stop) == ("<|endoftext|>", ("<|fim_pad|>",))
    assert (record.prefix, record.suffix, record.middle) == family.tokens


def test_a_family_record_may_lack_an_end() -> None:
    family = recognise(STARCODER - {"<|endoftext|>", "<file_sep>"})
    assert family is not None
    assert family.record(set(family.tokens)).end == ""


FORMS = [family for family in FAMILIES if family.repository is not None]


@pytest.mark.parametrize("family", FORMS, ids=[family.family for family in FORMS])
def test_a_form_of_files_holds_the_whole_prompt(family: FimFamily) -> None:
    form = family.repository
    assert form is not None
    assert form.cursor.count("{path}") == 1
    without_files = [part for part in form.cursor if part not in ("{path}", form.file_token)]
    assert tuple(without_files) == family.order
    # An answer that goes on with another file ends there.
    assert {form.name_token, form.file_token} <= set(family.stops)
