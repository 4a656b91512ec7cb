"""Providers that refuse, hang, break off and talk nonsense: a sentence, never half an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence

import httpx
import pytest

from services.cluster.provider_records import ProviderKind
from services.gateway.metrics import OPEN_GENERATIONS
from services.gateway.providers.refusals import unreachable
from tests.gateway.conftest import Gateway
from tests.gateway.providers.conftest import CHATTING, KEYS, Fakes, record
from tests.gateway.providers.fake_server import Answer, Stream, sse
from tests.gateway.providers.test_chats import HELLO, chat, events

KINDS = list(ProviderKind)
BOTH = [ProviderKind.OPENAI, ProviderKind.ANTHROPIC]
Change = Callable[[list[bytes]], Sequence[bytes]]


def told(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x"}}).encode()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (Answer(429, told("Slow down."), (("retry-after", "7"),)), 429, "answers: Slow down."),
        (Answer(529, told("Overloaded.")), 503, "answers: Overloaded."),
        (Answer(500, b"<html>oops</html>"), 503, "answers: <html>oops</html>."),
        (Answer(500, b""), 503, "nothing that can be read."),
        (Answer(402, told("No credit.")), 429, "No credit."),
        (Answer(400, told("Prompt is too long.")), 400, "Prompt is too long."),
        (Answer(422, b'{"detail": [{"msg": "bad"}]}'), 400, "bad"),
        (Answer(404, told("No such model.")), 404, "No such model."),
        (Answer(413, b"\xff\xfe"), 413, "answers"),
        (Answer(503, b"[" * 100_000), 503, "answers"),
    ],
)
async def test_a_refusal_is_told_as_ours(
    client: httpx.AsyncClient,
    outside: Fakes,
    kind: ProviderKind,
    streams: bool,
    answer: Answer,
    status: int,
    words: str,
) -> None:
    outside[kind].fault = answer
    found = await chat(client, kind, stream=streams)
    assert found.status_code == status
    assert words in found.json()["error"]["message"]
    if status == 429:
        assert found.headers["retry-after"] in ("5", "7")


async def test_a_provider_that_is_down_is_asked_nothing_for_a_while_then_once(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    fake = outside[ProviderKind.OPENAI]
    fake.fault = Answer(503, told("Down."))
    assert "answers: Down." in (await chat(client, ProviderKind.OPENAI)).json()["detail"]
    fake.fault = None
    refused = await chat(client, ProviderKind.OPENAI)
    assert refused.status_code == 503
    assert "gave no answer just now" in refused.json()["detail"]
    assert refused.headers["retry-after"] == "1"
    assert len(fake.seen) == 1, "nothing was sent while its breaker was open"
    while (found := await chat(client, ProviderKind.OPENAI)).status_code == 503:
        assert "gave no answer just now" in found.json()["detail"]
    assert found.status_code == 200
    assert len(fake.seen) == 2


async def test_a_request_of_several_parts_finds_out_that_a_provider_is_back(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    fake = outside[ProviderKind.REMOTE]
    fake.fault = Answer(503, told("Down."))
    assert (await chat(client, ProviderKind.REMOTE, n=3)).status_code == 503
    fake.fault = None
    async with asyncio.timeout(10):
        while (found := await chat(client, ProviderKind.REMOTE, n=3)).is_error:
            await asyncio.sleep(0.1)
    assert len(found.json()["choices"]) == 3


@pytest.mark.parametrize("kind", BOTH)
async def test_a_redirect_is_not_followed_with_a_key(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    elsewhere = outside[ProviderKind.GROQ]
    to = (("location", f"{elsewhere.url}/chat/completions"),)
    for status in (301, 302, 307, 308):
        outside[kind].fault = Answer(status, b"", to)
        found = await chat(client, kind)
        assert found.status_code == 503
        assert "sends on to another address" in found.json()["error"]["message"]
    assert not elsewhere.seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda events: [b"".join(events[:3]), events[3][:-9]],
        lambda events: [],
        lambda events: events[:1],
    ],
    ids=["mid-event", "before-the-first", "after-the-first"],
)
async def test_a_cut_answer_is_no_answer(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, streams: bool, change: Change
) -> None:
    outside[kind].fault = Stream(change, "cut")
    found = await chat(client, kind, stream=streams)
    if found.status_code == 200:
        assert streams
        assert "broke off" in events(found.text)[-1]["error"]["message"]
        assert "[DONE]" not in found.text
    else:
        assert found.status_code == 503
        assert "broke off" in found.json()["error"]["message"]


NONSENSE = {
    "no JSON": [b"data: {oops\n\n"],
    "no object": [b"data: [1, 2]\n\n"],
    "deep": [b"data: " + b"[" * 100_000 + b"\n\n"],
    "not UTF-8": [b'data: {"a": "\xff"}\n\n'],
    "a line of 20 MB": [b"data: " + b"x" * 20_000_000],
    "strange choices": [b'data: {"choices": [7], "type": "content_block_delta"}\n\n'],
    "strange delta": [
        b'data: {"choices": [{"delta": [1]}], "type": "message_start", "message": 3}\n\n'
    ],
    "strange content": [
        b'data: {"choices": [{"delta": {"content": 5}}], "type": "message_delta", "delta": 1}\n\n'
    ],
    "strange usage": [
        b'data: {"choices": [], "usage": 3, "type": "message_delta", "delta": {}, "usage": 3}\n\n'
    ],
    "a page": [b"<html><body>Sign in</body></html>\n"],
    "an end too early": [b"data: [DONE]\n\n"],
    "nothing": [b": hm\n\n", b"event: ping\n\n", b"\n\n\n"],
}


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("name", NONSENSE)
async def test_nonsense_is_no_answer(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, name: str
) -> None:
    outside[kind].fault = Stream(lambda events: [*events[:2], *NONSENSE[name]])
    found = await chat(client, kind)
    assert found.status_code == 503, found.text
    message = found.json()["error"]["message"]
    assert "cannot be read" in message or "ended in the middle" in message


@pytest.mark.parametrize("kind", BOTH)
async def test_figures_that_nobody_can_count_are_not_counted(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    def strange(events: list[bytes]) -> list[bytes]:
        text = b"".join(events).replace(b'"output_tokens": 5', b'"output_tokens": "many"')
        return [text.replace(b'"completion_tokens": 5', b'"completion_tokens": -5')]

    outside[kind].fault = Stream(strange)
    found = await chat(client, kind)
    assert found.status_code == 200, found.text
    assert found.json()["usage"]["completion_tokens"] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streams", [False, True])
async def test_an_error_within_a_stream_is_told(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, streams: bool
) -> None:
    """With the key in it: what is told has none."""
    error = {"type": "overloaded_error", "message": f"Overloaded: {KEYS[kind]} waits."}
    said = f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n".encode()
    outside[kind].fault = Stream(lambda events: [*events[:4], said])
    found = await chat(client, kind, stream=streams)
    assert "Overloaded" in found.text
    if KEYS[kind]:
        assert KEYS[kind] not in found.text
        assert "[key] waits." in found.text
    assert "[DONE]" not in found.text
    assert found.status_code == (200 if streams else 503)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "change",
    [
        lambda events: [b"".join(events)],
        lambda events: [b"".join(events).replace(b"\n", b"\r\n")],
        lambda events: [bytes([byte]) for byte in b"".join(events).replace(b"\n", b"\r\n")],
        lambda events: [b": still here\n\n" + event for event in events],
        lambda events: [b"".join(events).replace(b"data: ", b"data:")],
        lambda events: [b"".join(events).replace(b"data: [DONE]\n\n", b"")],
        lambda events: [b"".join(events).rstrip(b"\n")],
    ],
    ids=["at once", "CRLF", "bytes", "comments", "no space", "no [DONE]", "no last line"],
)
async def test_the_same_answer_in_other_pieces(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, change: Change
) -> None:
    outside[kind].fault = Stream(change)
    found = await chat(client, kind)
    assert found.json()["choices"][0]["message"]["content"] == "Hello, world."
    assert found.json()["usage"]["total_tokens"] == 16


@pytest.mark.parametrize("kind", BOTH)
async def test_an_answer_that_is_over_is_not_waited_for(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    outside[kind].fault = Stream(list, "hang")
    found = await chat(client, kind)
    assert found.json()["choices"][0]["message"]["content"] == "Hello, world."
    await asyncio.wait_for(outside[kind].gone.get(), 10)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_whose_text_is_whole_needs_no_figures(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, streams: bool
) -> None:
    """The connection stays open after the reason to stop, and nothing more comes."""

    def until_the_reason(events: list[bytes]) -> list[bytes]:
        marks = (b'"finish_reason": "stop"', b'"stop_reason": "end_turn"')
        at = next(i for i, said in enumerate(events) if any(mark in said for mark in marks))
        return events[: at + 1]

    outside[kind].fault = Stream(until_the_reason, "hang")
    found = await chat(client, kind, stream=streams)
    assert found.status_code == 200, found.text
    assert '"finish_reason":"stop"' in found.text
    assert "error" not in found.text
    await asyncio.wait_for(outside[kind].gone.get(), 10)


@pytest.mark.parametrize("kind", BOTH)
async def test_what_is_no_stream_is_called_so(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    page = Answer(200, b"<html>Sign in</html>", (("content-type", "text/html"),))
    for fault in (page, Answer(200, b"{}")):
        outside[kind].fault = fault
        found = await chat(client, kind)
        assert found.status_code == 503
        assert "no stream of events but application/json" in found.json()["detail"]


@pytest.mark.parametrize("streams", [False, True])
async def test_an_answer_without_end_is_broken_off(
    client: httpx.AsyncClient, outside: Fakes, streams: bool
) -> None:
    said = sse({"choices": [{"index": 0, "delta": {"content": "x" * 1024**2}}]})
    outside[ProviderKind.OPENAI].fault = Stream(lambda _: [said] * 65, "hang")
    found = await chat(client, ProviderKind.OPENAI, stream=streams)
    assert found.status_code == (200 if streams else 503)
    assert "longer than any model's" in found.text[-1000:]
    assert "[DONE]" not in found.text[-1000:]
    await asyncio.wait_for(outside[ProviderKind.OPENAI].gone.get(), 10)


def test_a_certificate_that_is_not_trusted_is_called_so(shared: Gateway, outside: Fakes) -> None:
    provider = record(shared, outside, ProviderKind.REMOTE)
    error = httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
    assert "HEARTH_CA_BUNDLE" in unreachable(provider, error).message
    assert "cannot be reached" in unreachable(provider, httpx.ConnectError("")).message


async def test_a_refusal_that_is_not_told_to_its_end_is_one(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    outside[ProviderKind.OPENAI].fault = Answer(500, None)
    found = await chat(client, ProviderKind.OPENAI)
    assert found.status_code == 503
    assert "openai answers" in found.json()["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "num_events", "streams"),
    [
        (ProviderKind.OPENAI, 0, True),
        (ProviderKind.OPENAI, 2, False),
        (ProviderKind.ANTHROPIC, 2, True),
    ],
)
async def test_a_silent_provider_is_late(
    client: httpx.AsyncClient,
    outside: Fakes,
    kind: ProviderKind,
    num_events: int,
    streams: bool,
) -> None:
    outside[kind].fault = Stream(lambda events: events[:num_events], "hang")
    found = await chat(client, kind, stream=streams)
    assert f"within {1 if num_events else 1.5} s" in found.text
    assert "[DONE]" not in found.text
    await asyncio.wait_for(outside[kind].gone.get(), 10)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("streams", [False, True])
async def test_a_client_that_leaves_closes_the_providers_connection(
    shared: Gateway, outside: Fakes, kind: ProviderKind, n: int, streams: bool
) -> None:
    outside[kind].fault = Stream(lambda events: events[:4], "hang")
    body = {"model": CHATTING[kind], "messages": HELLO, "n": n, "stream": streams}
    async with shared.client() as leaving:
        asking = asyncio.create_task(leaving.post("/v1/chat/completions", json=body))
        while len(outside[kind].seen) < n:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    for _ in range(n):
        await asyncio.wait_for(outside[kind].gone.get(), 10)
    while OPEN_GENERATIONS._value.get():
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", BOTH)
async def test_a_connection_is_used_again_and_no_cookie_is_kept(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    outside[kind].cookies = True
    for _ in range(3):
        assert (await chat(client, kind)).status_code == 200
    assert len({seen.client for seen in outside[kind].seen}) == 1
    assert not any("cookie" in seen.headers for seen in outside[kind].seen)
