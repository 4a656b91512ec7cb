from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.inference.engines.echo_text import SPECIAL_TOKENS, ByteTokenizer, TextStream

LETTERS = st.text("abé", max_size=12)


def said(text: str, stops: list[str]) -> tuple[list[str], str]:
    """The pieces of a text that comes byte by byte, and the stop string that ended it."""
    stream, pieces = TextStream(stops), []
    data = text.encode()
    for number, byte in enumerate(data, 1):
        pieces.append(stream.feed(bytes([byte]), number == len(data)))
        if stream.stop_string:
            break
    return pieces, stream.stop_string


@given(text=LETTERS, stops=st.lists(st.text("abé", min_size=1, max_size=3), max_size=3))
def test_the_text_ends_before_the_first_complete_stop_string(text: str, stops: list[str]) -> None:
    pieces, stop_string = said(text, stops)
    ends = [
        (end, -len(stop), stop)
        for stop in stops
        for end in range(len(text) + 1)
        if text[:end].endswith(stop)
    ]
    if not ends:
        assert ("".join(pieces), stop_string) == (text, "")
        return
    end, _, stop = min(ends)
    assert ("".join(pieces), stop_string) == (text[: end - len(stop)], stop)


def test_a_piece_holds_whole_characters() -> None:
    assert said("aé", [])[0] == ["a", "", "é"]


def test_only_what_may_become_a_stop_string_is_held_back() -> None:
    assert said("xaby", ["abc"])[0] == ["x", "", "", "aby"]


def test_half_a_character_at_the_end_is_shown() -> None:
    assert TextStream([]).feed("é".encode()[:1], last=True) == "\ufffd"


def test_special_tokens_have_ids_after_the_bytes() -> None:
    tokenizer = ByteTokenizer()
    for number, text in enumerate(SPECIAL_TOKENS):
        assert tokenizer.encode(text) == [256 + number]
    assert tokenizer.num_tokens == 256 + len(SPECIAL_TOKENS)
