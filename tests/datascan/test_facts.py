from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.datascan.facts import content_key, decoded, facts_of
from services.datascan.readers import SourceFile


@given(st.binary(max_size=300))
def test_any_bytes_have_facts(content: bytes) -> None:
    facts = facts_of(SourceFile("a.py", len(content), content), "s")
    assert facts.sha256 == hashlib.sha256(content).hexdigest()
    assert 0 <= facts.digit_share <= 1
    if facts.text is not None:
        facts.text.encode()
        assert "\0" not in facts.text
        assert "\r" not in facts.text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", ""),
        (b"a\r\nb\r", "a\nb\n"),
        ("\ufeffä".encode(), "ä"),
        ("ä".encode("utf-16"), "ä"),
        ("# Müller\nx = 1; y = 2; z = 3\n".encode("cp1252"), "# Müller\nx = 1; y = 2; z = 3\n"),
        (b"\x89PNG\r\n\x1a\n\0\0", None),
        ("привет, мир".encode("koi8-r"), None),
        (b"\x01\x02\x03\xff", None),
    ],
)
def test_what_is_text(content: bytes, text: str | None) -> None:
    assert decoded(content) == text


def test_lines_digits_and_path() -> None:
    facts = facts_of(SourceFile("d/a.py", 10, b"ab 12\n\nx=3"), "web")
    assert (facts.path, facts.language, facts.num_lines) == ("web/d/a.py", "Python", 3)
    assert (facts.max_line_chars, facts.num_non_blank) == (5, 7)
    assert facts.digit_share == pytest.approx(3 / 7)


def test_blanks_at_the_ends_of_lines_do_not_make_a_file_another() -> None:
    assert content_key("a\nb\n") == content_key("a  \nb\t\n\n")
    assert content_key("a\nb") != content_key("a\n b")


def test_a_file_that_was_not_read_has_no_facts_but_its_name() -> None:
    facts = facts_of(SourceFile("a.py", 7, None, "It is a link, not a file."), "s")
    assert (facts.text, facts.sha256, facts.language) == (None, "", "Python")
    assert not facts.was_read


def test_a_long_run_of_blanks_takes_no_longer_than_other_text() -> None:
    """With a quadratic rule this test would not end."""
    content = b" " * 500_000 + b"x\n" + b"\t" * 10_000 + b"1"
    assert facts_of(SourceFile("a.py", len(content), content), "s").num_non_blank == 2
