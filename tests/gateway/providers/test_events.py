"""Server-sent events in whatever pieces they come, in bounded memory and linear time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cluster.errors import EngineUnavailable
from services.gateway.providers.events import json_events

MIB = 1024**2
TEXT = (
    ': hm\r\n\r\ndata: {"a": "é"}\r\n\r\nevent: x\ndata: {"b":\ndata: 2}\n\ndata: [DONE]\n\n'
).encode()


async def read(pieces: Iterable[bytes]) -> list[dict[str, object]]:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [event async for event in json_events(chunks())]


@pytest.mark.parametrize("at", range(len(TEXT)))
async def test_cut_at_every_place(at: int) -> None:
    assert await read([TEXT[:at], TEXT[at:]]) == [{"a": "é"}, {"b": 2}]


@settings(max_examples=30)
@given(st.lists(st.dictionaries(st.text(), st.text())), st.integers(1, 9))
async def test_what_is_said_is_read(said: list[dict[str, str]], size: int) -> None:
    text = b"".join(f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode() for value in said)
    assert await read(text[at : at + size] for at in range(0, len(text), size)) == said


async def test_many_short_pieces_of_a_long_event_cost_what_they_weigh() -> None:
    """Of a reader that joins all that it has at each piece this takes minutes."""
    long = b'data: {"a": "' + b"x" * 8 * MIB + b'"}\n\n'
    (event,) = await read(long[at : at + 64] for at in range(0, len(long), 64))
    assert len(str(event["a"])) == 8 * MIB


@pytest.mark.parametrize("line", [b"data: " + b"x" * 1000 + b"\n", b"x" * 1000])
async def test_no_event_is_kept_that_does_not_end(line: bytes) -> None:
    num_read = 0

    def endless() -> Iterable[bytes]:
        nonlocal num_read
        while True:
            num_read += len(line) * 100
            yield line * 100

    with pytest.raises(EngineUnavailable):
        await read(endless())
    assert num_read < 64 * MIB
