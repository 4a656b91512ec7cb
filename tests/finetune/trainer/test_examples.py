from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.finetune.tokens import TextTokenizer
from services.finetune.trainer.examples import NO_LOSS, ExampleMaker, Hole, cut_hole, windows
from tests.finetune.datasets import dataset_files
from tests.inference.tiny_tokenizer import write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder)
    return TextTokenizer(folder)


@given(st.text(max_size=300), st.integers(0, 2**32))
def test_a_hole_loses_nothing_and_has_a_middle(text: str, seed: int) -> None:
    hole = cut_hole(text, random.Random(seed))
    assert hole.prefix + hole.middle + hole.suffix == text
    assert hole.middle or not text


@given(st.text(min_size=1, max_size=500), st.integers(1, 60), st.integers(0, 2**32))
def test_windows_are_the_file_in_pieces(text: str, context_tokens: int, seed: int) -> None:
    assert "".join(windows(text, context_tokens, random.Random(seed))) == text


def test_a_hole_is_written_in_the_familys_order_and_its_marks_are_not_learned(
    tokenizer: TextTokenizer,
) -> None:
    example = ExampleMaker(tokenizer, 128, 1.0).with_hole(Hole("ab", "cd", "ef"))
    mark = tokenizer.special_tokens
    a, b, c, d, e, f = (tokenizer.encode(letter)[0] for letter in "abcdef")
    before, after, middle = (mark[f"<|fim_{x}|>"] for x in ("prefix", "suffix", "middle"))
    end = mark["<|endoftext|>"]
    assert example.ids == [before, a, b, after, e, f, middle, c, d, end]
    no = NO_LOSS
    assert example.labels == [no, a, b, no, e, f, no, c, d, end]


def test_marks_in_a_file_are_text(tokenizer: TextTokenizer) -> None:
    example = ExampleMaker(tokenizer, 128, 1.0).with_hole(Hole("<|fim_middle|>", "x", "y"))
    assert example.ids.count(tokenizer.special_tokens["<|fim_middle|>"]) == 1


def test_a_long_hole_keeps_what_is_near_the_cursor(tokenizer: TextTokenizer) -> None:
    hole = Hole("a" * 500 + "b", "c" * 10, "d" + "e" * 500)
    example = ExampleMaker(tokenizer, 64, 1.0).with_hole(hole)
    near = tokenizer.encode("b")[0], tokenizer.encode("d")[0]
    assert len(example.ids) == 64
    assert set(near) <= set(example.ids)


def test_plain_text_is_cut_to_the_context_and_closed_once(tokenizer: TextTokenizer) -> None:
    pieces = list(ExampleMaker(tokenizer, 128, 0.0).plain("x" * 300))
    assert [len(piece.ids) for piece in pieces] == [128, 128, 45]
    assert pieces[-1].ids[-1] == tokenizer.end_id
    assert all(piece.labels[0] == NO_LOSS for piece in pieces)


def test_the_share_of_examples_with_holes_is_about_what_was_asked(
    tokenizer: TextTokenizer,
) -> None:
    files = dataset_files(range(200), 1)
    examples = ExampleMaker(tokenizer, 512, 0.5).examples(files, random.Random(0))
    middle = tokenizer.special_tokens["<|fim_middle|>"]
    found = [middle in example.ids for example in examples]
    assert 0.35 < sum(found) / len(found) < 0.65


def test_the_same_seed_makes_the_same_examples(tokenizer: TextTokenizer) -> None:
    files = dataset_files(range(5))
    maker = ExampleMaker(tokenizer, 128, 0.5)
    first, second = (list(maker.examples(files, random.Random(7))) for _ in range(2))
    assert first == second


def test_a_tokenizer_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"tokenizer\.json"):
        TextTokenizer(tmp_path)
