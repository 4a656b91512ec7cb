"""/v1/responses, read by the openai SDK and held to its types; the engine says what it is told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from services.cluster.errors import EngineUnavailable
from services.cluster.identity import Scope
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.engines.chat import ToolCallDelta
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import (
    Delta,
    Finish,
    FinishReason,
    GenerationRequest,
    PositionLogprobs,
    TokenLogprob,
)
from tests.gateway.conftest import (
    MODEL,
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
TOOL = {"type": "function", "name": "read", "parameters": {"type": "object"}, "strict": False}


class ToldEngine(EchoEngine):
    """Says `script`, one token for each delta, then ends for `reason`; dies first if it is None."""

    takes_images = True
    script: Sequence[Delta] = ()
    reason: FinishReason | None = FinishReason.STOP

    async def _deltas(self, request: GenerationRequest, ended: Any) -> AsyncGenerator[Delta]:
        for number, delta in enumerate(self.script):
            yield replace(delta, token_ids=[number])
        if self.reason is None:
            raise EngineUnavailable("The engine is out of breath.")
        yield Delta(finish=Finish(self.reason, "", 9, len(self.script), 4))


@dataclass
class Told:
    """A gateway before an engine that says what it is told."""

    gateway: Gateway
    engine: ToldEngine

    def tell(self, *script: Delta, reason: FinishReason | None = FinishReason.STOP) -> None:
        self.engine.script, self.engine.reason = script, reason

    def sdk(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.gateway.url}/v1",
            api_key=self.gateway.tokens[Scope.COMPLETIONS],
            max_retries=0,
        )

    async def whole(self, **body: Any) -> dict[str, Any]:
        answer = await post(self.gateway, **body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        Response.model_validate(found, strict=True)
        return found

    async def events(self, **body: Any) -> list[dict[str, Any]]:
        """Each has the shape that the SDK's types ask for."""
        answer = await post(self.gateway, stream=True, **body)
        assert answer.status_code == 200, answer.text
        blocks = [block.split("\n") for block in answer.text.split("\n\n") if block]
        events = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
        assert [name for name, _ in blocks] == [f"event: {event['type']}" for event in events]
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        for event in events:
            EVENT.validate_python(event)
        return events


@pytest_asyncio.fixture
async def told(store: Store, settings: ClusterSettings, tmp_path: Path) -> AsyncIterator[Told]:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with (
        echo_replica(settings, registry, "r1", tmp_path, ToldEngine) as replica,
        serving(gateway_settings(settings), store) as gateway,
    ):
        assert isinstance(replica.engine, ToldEngine)
        yield Told(gateway, replica.engine)


async def post(gateway: Gateway, **body: Any) -> httpx.Response:
    async with gateway.client() as client:
        return await client.post("/v1/responses", json={"input": "hello", **body})


def call(index: int, arguments: str, call_id: str = "", name: str = "") -> Delta:
    return Delta(tool_calls=[ToolCallDelta(index, call_id, name, arguments)])


def kinds(response: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["type"], item["status"]) for item in response["output"]]


def without_ids(response: dict[str, Any]) -> dict[str, Any]:
    times = {"id": "", "created_at": 0, "completed_at": 0}
    return {**response, **times, "output": [{**item, "id": ""} for item in response["output"]]}


async def test_a_message(told: Told) -> None:
    told.tell(Delta(text="Hel"), Delta(text="lo"))
    found = await told.whole(model=MODEL, instructions="short", metadata={"a": "b"}, tools=[TOOL])
    (message,) = found["output"]
    assert message["content"] == [
        {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    ]
    assert (message["role"], message["status"]) == ("assistant", "completed")
    assert (found["status"], found["model"]) == ("completed", MODEL)
    assert found["completed_at"] >= found["created_at"]
    assert found["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 2,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 11,
    }
    assert (found["instructions"], found["metadata"]) == ("short", {"a": "b"})
    assert (found["tool_choice"], found["tools"][0]["name"]) == ("auto", "read")
    assert (found["store"], found["truncation"]) == (False, "disabled")
    assert isinstance(found["caps_version"], int)


async def test_the_events_of_a_message(told: Told) -> None:
    told.tell(Delta(text="Hel"), Delta(text="lo"))
    events = await told.events()
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert events[0]["response"]["output"] == []
    assert events[0]["response"]["status"] == "in_progress"
    assert events[2]["item"]["content"] == []
    assert events[6]["text"] == "Hello"
    assert events[-1]["response"]["output"] == [events[-2]["item"]]


SCRIPTS: dict[str, list[Delta]] = {
    "text": [Delta(text="Hello"), Delta(text="\n")],
    "reasoning and text": [
        Delta(reasoning="I "),
        Delta(reasoning="think"),
        Delta(text="\n\n"),
        Delta(text="Hello"),
    ],
    "text and calls": [
        Delta(text="I look."),
        call(0, "", "c1", "read"),
        call(0, '{"a":'),
        call(0, "1"),
        Delta(text="\n"),
        call(1, "{}", "c2", "read"),
        call(0, "}"),
    ],
    "nothing": [],
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("reason", [FinishReason.STOP, FinishReason.LENGTH])
async def test_a_stream_ends_with_the_whole_answer(
    told: Told, script: str, reason: FinishReason
) -> None:
    told.tell(*SCRIPTS[script], reason=reason)
    whole = await told.whole()
    events = await told.events()
    assert without_ids(events[-1]["response"]) == without_ids(whole)
    added = [e["item"]["id"] for e in events if e["type"] == "response.output_item.added"]
    done = {e["output_index"]: e["item"] for e in events if e["type"].endswith("item.done")}
    assert [done[index] for index in range(len(done))] == events[-1]["response"]["output"]
    assert [item["id"] for item in events[-1]["response"]["output"]] == added


async def test_reasoning_is_an_item_of_its_own(told: Told) -> None:
    told.tell(*SCRIPTS["reasoning and text"])
    found = await told.whole()
    assert kinds(found) == [("reasoning", "completed"), ("message", "completed")]
    thought, message = found["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "I think"}]
    assert thought["summary"] == []
    assert message["content"][0]["text"] == "\n\nHello"
    assert found["usage"]["output_tokens_details"] == {"reasoning_tokens": 2}
    deltas = [e for e in await told.events() if e["type"] == "response.reasoning_text.delta"]
    assert [event["delta"] for event in deltas] == ["I ", "think"]


async def test_calls_keep_their_arguments_apart(told: Told) -> None:
    told.tell(*SCRIPTS["text and calls"], reason=FinishReason.TOOL_CALLS)
    found = await told.whole(tools=[TOOL])
    assert found["status"] == "completed"
    _, first, second = found["output"]
    assert (first["call_id"], first["name"], first["arguments"]) == ("c1", "read", '{"a":1}')
    assert (second["call_id"], second["arguments"]) == ("c2", "{}")
    events = await told.events(tools=[TOOL])
    done = [e for e in events if e["type"] == "response.function_call_arguments.done"]
    assert [event["arguments"] for event in done] == ['{"a":1}', "{}"]


async def test_space_around_calls_is_no_message(told: Told) -> None:
    told.tell(Delta(text="\n"), call(0, "{}", "", "read"), Delta(text="\n"))
    found = await told.whole(tools=[TOOL])
    assert kinds(found) == [("function_call", "completed")]
    assert found["output"][0]["call_id"].startswith("call_")
    told.tell(Delta(text="\n"))
    assert (await told.whole())["output"][0]["content"][0]["text"] == "\n"


@pytest.mark.parametrize(
    ("script", "items"),
    [
        ([Delta(text="Hel")], [("message", "incomplete")]),
        ([Delta(reasoning="I ")], [("reasoning", "incomplete")]),
        (
            [Delta(text="a"), call(0, "{", "c1", "read")],
            [("message", "completed"), ("function_call", "incomplete")],
        ),
        ([], [("message", "incomplete")]),
    ],
)
async def test_an_answer_that_was_cut(
    told: Told, script: list[Delta], items: list[tuple[str, str]]
) -> None:
    told.tell(*script, reason=FinishReason.LENGTH)
    found = await told.whole(max_output_tokens=5)
    assert (found["status"], found["completed_at"]) == ("incomplete", None)
    assert found["incomplete_details"] == {"reason": "max_output_tokens"}
    assert found["max_output_tokens"] == 5
    assert kinds(found) == items
    assert (await told.events())[-1]["type"] == "response.incomplete"


async def test_an_engine_that_dies_before_the_answer_is_whole(told: Told) -> None:
    told.tell(Delta(text="Hel"), reason=None)
    answer = await post(told.gateway)
    assert answer.status_code == 503
    assert answer.json()["detail"] == answer.json()["error"]["message"]


async def test_an_engine_that_dies_on_the_way(told: Told) -> None:
    told.tell(Delta(text="Hel"), reason=None)
    events = await told.events()
    last = events[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"]["code"] == "server_error"
    assert "in the middle of this answer" in last["response"]["error"]["message"]
    assert kinds(last["response"]) == [("message", "incomplete")]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_before_the_first_byte_has_its_status(told: Told, stream: bool) -> None:
    told.tell(reason=None)
    assert (await post(told.gateway, stream=stream)).status_code == 503
    refused = await post(told.gateway, stream=stream, previous_response_id="resp_1")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous_response_id"
    assert "send the whole input" in refused.json()["detail"]


async def test_the_sdk_puts_a_stream_together(told: Told) -> None:
    told.tell(*SCRIPTS["reasoning and text"])
    async with told.sdk() as sdk, sdk.responses.stream(model=MODEL, input="hello") as stream:
        snapshots = [e.snapshot async for e in stream if e.type == "response.output_text.delta"]
        final = await stream.get_final_response()
    assert snapshots == ["\n\nHello"]
    assert final.output_text == "\n\nHello"
    assert final.usage is not None
    assert final.usage.total_tokens == 13


async def test_the_sdk_sees_a_failure(told: Told) -> None:
    told.tell(Delta(text="Hel"), reason=None)
    async with told.sdk() as sdk:
        stream = await sdk.responses.create(model=MODEL, input="hello", stream=True)
        last = [event async for event in stream][-1]
    assert last.type == "response.failed"
    assert last.response.error is not None
    assert "in the middle of this answer" in last.response.error.message


async def test_a_tool_loop_of_the_sdk(told: Told) -> None:
    """What came out goes in again as it is, with what the tool brought."""
    told.tell(Delta(reasoning="I look."), call(0, '{"a":1}', "c1", "read"))
    async with told.sdk() as sdk:
        given: list[Any] = [{"role": "user", "content": "hello"}]
        tools: Any = [TOOL]
        async with sdk.responses.stream(model=MODEL, input=given, tools=tools) as stream:
            first = await stream.get_final_response()
        given += [item.to_dict() for item in first.output]
        given.append({"type": "function_call_output", "call_id": "c1", "output": "found"})
        told.tell(Delta(text="Done"))
        second = await sdk.responses.create(model=MODEL, input=given, tools=tools)
    assert second.output_text == "Done"
    last = bytes(i for i in told.engine.requests[-1].prompt_token_ids if i < 256).decode()
    assert "found" in last


async def test_tokens_of_reasoning_are_not_those_of_the_text(told: Told) -> None:
    def at(token: str) -> list[PositionLogprobs]:
        return [PositionLogprobs(TokenLogprob(1, token, -0.5, 1))]

    told.tell(
        Delta(reasoning="think", logprobs=at("think")),
        Delta(logprobs=at("half")),
        Delta(text="half whole", logprobs=at(" whole")),
        Delta(logprobs=at("<end>")),
    )
    events = await told.events(include=["message.output_text.logprobs"])
    (delta,) = [event for event in events if event["type"] == "response.output_text.delta"]
    assert [entry["token"] for entry in delta["logprobs"]] == ["half", " whole"]
    part = events[-1]["response"]["output"][1]["content"][0]
    assert part["logprobs"] == delta["logprobs"]


async def test_a_message_that_ends_the_reasoning_is_shared_out(told: Told) -> None:
    told.tell(Delta(reasoning="a"), Delta(reasoning="aaa", text="b"), Delta(text="b"))
    assert (await told.whole())["usage"]["output_tokens_details"] == {"reasoning_tokens": 2}


async def test_an_image_reaches_the_engine(told: Told) -> None:
    told.tell(Delta(text="a"))
    url = f"data:image/png;base64,{base64.b64encode(b'file').decode()}"
    part = {"type": "input_image", "image_url": url, "detail": "auto"}
    await told.whole(input=[{"role": "user", "content": [part]}])
    assert told.engine.requests[-1].images == [b"file"]


async def test_logprobs_are_those_of_the_text(gateway: Gateway, replica: EchoReplica) -> None:
    body = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "temperature": 0}
    found = (await post(gateway, max_output_tokens=3, **body)).json()
    (part,) = found["output"][0]["content"]
    assert "".join(entry["token"] for entry in part["logprobs"]) == part["text"]
    assert all(len(entry["top_logprobs"]) == 2 for entry in part["logprobs"])
    assert all(entry["logprob"] < 0 and entry["bytes"] for entry in part["logprobs"])
    Response.model_validate(found, strict=True)


async def test_a_gateway_that_stops_says_so(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.tokens[Scope.COMPLETIONS], max_retries=0
    ) as sdk:
        stream = await sdk.responses.create(model=MODEL, input="hello", stream=True)
        with pytest.raises(openai.APIError, match="being stopped"):
            async for event in stream:
                if event.type == "response.output_text.delta":
                    gateway.state.ending.set()


async def test_closing_a_stream_aborts(gateway: Gateway, replica: EchoReplica) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.tokens[Scope.COMPLETIONS], max_retries=0
    ) as sdk:
        async with sdk.responses.stream(model=MODEL, input="hello") as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    break
        async with asyncio.timeout(10):
            while not replica.engine.aborted:
                await asyncio.sleep(0.005)
    assert replica.engine.stats().num_running == 0
