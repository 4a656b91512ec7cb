from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cluster.errors import BadRequest, Unavailable
from services.inference.engines.echo_text import ByteTokenizer
from services.inference.tokenization import ModelTokenizer, longest_token_bytes, read_json, split_at
from tests.inference.tiny_tokenizer import SPECIAL_TOKENS, write_tokenizer

HALF = "\ud83d"  # of a surrogate pair


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> ModelTokenizer:
    return ModelTokenizer(folder)


def changed(folder: Path, to: Path, **changes: Any) -> ModelTokenizer:
    """The same tokenizer with other fields in its tokenizer.json."""
    description = json.loads((folder / "tokenizer.json").read_text()) | changes
    (to / "tokenizer.json").write_text(json.dumps(description))
    return ModelTokenizer(to)


def test_a_raw_text_reads_special_tokens_and_a_plain_one_does_not(
    tokenizer: ModelTokenizer,
) -> None:
    text = "a<|im_end|>b"
    assert len(tokenizer.encode(text)) == 3
    assert tokenizer.encode(text)[1] == tokenizer.special_tokens["<|im_end|>"]
    assert len(tokenizer.encode_plain(text)) == len(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode_plain(text)) == text


@given(text=st.text(max_size=50))
def test_text_comes_back(text: str) -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(tokenizer.encode_plain(text)) == text


def test_it_knows_its_size_and_its_special_tokens(tokenizer: ModelTokenizer) -> None:
    assert tokenizer.num_tokens == 256 + len(SPECIAL_TOKENS)
    assert set(tokenizer.special_tokens) == set(SPECIAL_TOKENS)
    assert tokenizer.file is not None
    assert tokenizer.file.is_file()
    assert tokenizer.chat_template is not None


def test_half_a_character_is_shown_as_such(tokenizer: ModelTokenizer) -> None:
    first, *_ = tokenizer.encode("é")
    assert tokenizer.decode([first]) == "\ufffd"


@pytest.mark.parametrize("method", ["encode", "encode_plain"])
def test_half_a_surrogate_pair_is_refused(tokenizer: ModelTokenizer, method: str) -> None:
    for each in (tokenizer, ByteTokenizer()):
        with pytest.raises(BadRequest, match="surrogate"):
            getattr(each, method)("a" + HALF)


def test_truncation_and_padding_of_the_file_are_not_obeyed(folder: Path, tmp_path: Path) -> None:
    short = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    padding = {
        "strategy": {"Fixed": 16},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "x",
    }
    tokenizer = changed(folder, tmp_path, truncation=short, padding=padding)
    assert len(tokenizer.encode("abcdefgh")) == len(tokenizer.encode_plain("abcdefgh")) == 8


def test_ids_may_have_gaps(folder: Path, tmp_path: Path) -> None:
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    model["vocab"]["a"] = 1000
    tokenizer = changed(folder, tmp_path, model=model)
    assert tokenizer.encode("a") == [1000]
    assert tokenizer.num_tokens > 1000
    for text, token_id in tokenizer.special_tokens.items():
        assert tokenizer.encode(text) == [token_id]


def test_tokens_that_a_file_does_not_call_special_are_text_too(
    folder: Path, tmp_path: Path
) -> None:
    added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    tokenizer = changed(
        folder, tmp_path, added_tokens=[{**token, "special": False} for token in added]
    )
    assert set(tokenizer.special_tokens) == set(SPECIAL_TOKENS)
    assert len(tokenizer.encode("<|fim_prefix|>")) == 1
    assert len(tokenizer.encode_plain("<|fim_prefix|>")) == len("<|fim_prefix|>")


def test_added_white_space_is_no_special_token(folder: Path, tmp_path: Path) -> None:
    description = json.loads((folder / "tokenizer.json").read_text())
    spaces = {**description["added_tokens"][0], "content": "    ", "id": 265, "special": False}
    tokenizer = changed(folder, tmp_path, added_tokens=[*description["added_tokens"], spaces])
    assert "    " not in tokenizer.special_tokens
    assert tokenizer.encode_plain("    ") == tokenizer.encode("    ") == [265]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model": {"type": "Unknown"}}'])
def test_a_file_that_is_no_tokenizer_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(Unavailable, match="cannot be read as a tokenizer"):
        ModelTokenizer(tmp_path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"tokenizer\.json"):
        ModelTokenizer(tmp_path)


def test_a_text_is_split_at_the_longest_special_tokens() -> None:
    tokens = {"<a>": 1, "<a>b": 2}
    assert split_at("x<a>b<a>", tokens) == [("x", False), ("<a>b", True), ("<a>", True)]
    assert split_at("", tokens) == []
    assert split_at("x", {}) == [("x", False)]


def test_the_longest_token_is_known_in_bytes(tokenizer: ModelTokenizer) -> None:
    assert tokenizer.longest_token_bytes == len("<|fim_prefix|>")
    assert longest_token_bytes(["a", "ĠĠĠ"]) == 3  # byte-level: three spaces
    assert longest_token_bytes(["▁a", "日本"]) == 6
    assert longest_token_bytes([]) == 1


def test_a_long_text_is_tokenized_as_a_short_one(tokenizer: ModelTokenizer) -> None:
    text = "é<|fim_prefix|>" * 2
    for encode in (tokenizer.encode, tokenizer.encode_plain):
        assert encode(text * 1000) == encode(text) * 1000


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_numbers_of_a_json_file_may_have_to_be_finite(tmp_path: Path, number: str) -> None:
    place = tmp_path / "config.json"
    place.write_text(f'{{"a": {number}, "b": 1.5}}')
    assert read_json(place)["b"] == 1.5
    with pytest.raises(BadRequest, match="no finite number"):
        read_json(place, finite=True)


def test_a_json_file_is_an_object_or_absent(tmp_path: Path) -> None:
    place = tmp_path / "config.json"
    assert read_json(place) == {}
    place.write_bytes(b'{"a": 1}')
    assert read_json(place) == {"a": 1}
    for content in (b"[]", b"{", b'"\xff"', b"[" * 100_000):
        place.write_bytes(content)
        with pytest.raises(BadRequest, match=r"config\.json"):
            read_json(place)


def test_a_given_chat_template_goes_before_the_models_own(folder: Path) -> None:
    template = ModelTokenizer(folder, "{{ messages[0]['content'] }}!").chat_template
    assert template is not None
    assert template.render([{"role": "user", "content": "hi"}], None, [])[0] == "hi!"
