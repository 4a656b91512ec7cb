from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.datascan import names


@given(st.text(st.characters(codec=None), max_size=50))
def test_every_name_can_be_shown(name: str) -> None:
    shown = names.printable(name)
    shown.encode()
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)


@given(st.binary(max_size=50))
def test_every_run_of_bytes_can_be_shown(data: bytes) -> None:
    names.printable(data.decode(errors="surrogateescape")).encode()
    names.refusal(data.decode(errors="surrogateescape"))


def test_ordinary_names_stay_as_they_are() -> None:
    for name in ("src/a.py", "Grüße/日本語.rs", "a b/c'd.txt", "-rf", ".github/x.yml", "a..b"):
        assert names.printable(name) == name
        assert names.refusal(name) == ""


def test_what_cannot_be_shown_is_spelled_out() -> None:
    assert names.printable("a\nb") == "a\\x0ab"
    assert names.printable("\udcff") == "\\xff"
    assert names.printable("\u202e") == "\\xe2\\x80\\xae"
    assert names.printable("\ud800") == "\\ud800"
