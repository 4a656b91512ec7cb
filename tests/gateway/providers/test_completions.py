"""Completions, embeddings and the other dialects, answered by servers elsewhere."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx
import openai
import pytest
from anthropic.types import ToolParam

from services.cluster.fim import family_named
from services.cluster.identity import Scope
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.provider_records import ProviderKind
from services.gateway.providers.cut_answer import CutAnswer
from services.gateway.providers.openai_wire import OpenAIAnswer
from tests.gateway.conftest import Gateway
from tests.gateway.providers.conftest import CHATTING, KEYS, Fakes
from tests.gateway.providers.fake_server import Call, Says
from tests.gateway.providers.test_chats import TOOL, events

INSTRUCT = "openai/gpt-3.5-turbo-instruct"
ENGINES = [ProviderKind.COMPATIBLE, ProviderKind.REMOTE]
FAMILY = family_named("qwen2.5-coder")
ANTHROPIC_TOOL: ToolParam = {
    "name": "add",
    "description": "Adds.",
    "input_schema": {"type": "object"},
}


@pytest.mark.parametrize("streams", [False, True])
async def test_a_completion(client: httpx.AsyncClient, outside: Fakes, streams: bool) -> None:
    asked = {"model": INSTRUCT, "prompt": "def ", "max_tokens": 9, "logprobs": 1, "stream": streams}
    answer = await client.post("/v1/completions", json=asked)
    assert answer.status_code == 200, answer.text
    if streams:
        choices = [event["choices"][0] for event in events(answer.text)]
        assert "".join(choice["text"] for choice in choices) == "Hello, world."
    else:
        (choice,) = answer.json()["choices"]
        assert choice["text"] == "Hello, world."
        assert choice["logprobs"]["token_logprobs"] == pytest.approx([-0.25] * 3)
    (body,) = outside[ProviderKind.OPENAI].bodies
    assert (body["prompt"], body["max_tokens"]) == ("def ", 9)


async def test_a_suffix_of_a_model_that_has_its_own_place_for_it(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    asked = {"model": INSTRUCT, "prompt": "def f(", "suffix": "):", "max_tokens": 9}
    assert (await client.post("/v1/completions", json=asked)).status_code == 200
    (body,) = outside[ProviderKind.OPENAI].bodies
    assert (body["prompt"], body["suffix"]) == ("def f(", "):")


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("path", ["/v1/completions", "/v1/fim/completions"])
async def test_a_suffix_of_an_engine_is_written_by_its_family(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, path: str
) -> None:
    asked = {"model": CHATTING[kind], "prompt": "def f(", "suffix": "):", "stop": ["\n"]}
    answer = await client.post(path, json={**asked, "max_tokens": 9})
    assert answer.status_code == 200, answer.text
    assert FAMILY is not None
    (body,) = outside[kind].bodies
    assert body["prompt"] == f"{FAMILY.prefix}def f({FAMILY.suffix}):{FAMILY.middle}"
    assert body["stop"] == ["\n", *FAMILY.stops[:3]]
    assert body["skip_special_tokens"] is False


def test_an_answer_ends_at_a_token_that_its_server_goes_on_after() -> None:
    answer = CutAnswer(OpenAIAnswer(), ["<|file_sep|>", "<|fim_pad|>"])
    pieces = ["a", "b<|fim_pad|>c", "d", "<|file_sep|>"]
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    events: list[dict[str, Any]] = [{"choices": [{"text": piece}]} for piece in pieces]
    events.append({"choices": [{"text": "", "finish_reason": "length"}], "usage": usage})
    texts = [message.text for event in events for message in answer.read(event)]
    assert texts == ["a", "b"]
    finish = answer.end().finish
    assert finish.reason == pb.FINISH_REASON_STOP
    assert (finish.num_prompt_tokens, finish.num_generated_tokens) == (3, 4)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/fim/completions"])
@pytest.mark.parametrize("streams", [False, True])
async def test_mistral_fills_in_the_middle(
    client: httpx.AsyncClient, outside: Fakes, path: str, streams: bool
) -> None:
    asked = {"model": CHATTING[ProviderKind.MISTRAL], "prompt": "def f(", "suffix": "):"}
    more = {"seed": -1, "max_tokens": 9, "temperature": 0, "stream": streams, "stop": "\n\n"}
    answer = await client.post(path, json={**asked, **more})
    assert answer.status_code == 200, answer.text
    (seen,) = outside[ProviderKind.MISTRAL].seen
    assert seen.path == "/fim/completions"
    assert (seen.body["prompt"], seen.body["suffix"]) == ("def f(", "):")
    assert seen.body["random_seed"] == 2**63 - 1


@pytest.mark.parametrize(
    "kind", [ProviderKind.ANTHROPIC, ProviderKind.GROQ, ProviderKind.MISTRAL, ProviderKind.OPENAI]
)
async def test_a_model_of_chats_completes_no_text(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind
) -> None:
    asked = {"model": CHATTING[kind], "prompt": "def "}
    answer = await client.post("/v1/completions", json=asked)
    assert answer.status_code == 400
    assert "answers chats only" in answer.json()["error"]["message"]
    assert not outside[kind].seen


async def test_token_ids_go_to_our_own_servers_only(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    """Secrets cannot be masked in them."""
    for kind, status in ((ProviderKind.REMOTE, 200), (ProviderKind.COMPATIBLE, 400)):
        asked = {"model": CHATTING[kind], "prompt": [5, 6, 7]}
        answer = await client.post("/v1/completions", json=asked)
        assert answer.status_code == status, answer.text
    assert outside[ProviderKind.REMOTE].bodies[0]["prompt"] == [5, 6, 7]
    assert not outside[ProviderKind.COMPATIBLE].seen


async def test_tabby_completes_by_the_sites_own_server(
    client: httpx.AsyncClient, outside: Fakes
) -> None:
    asked = {"language": "python", "segments": {"prefix": "def f(", "suffix": "):"}}
    answer = await client.post("/tabby/v1/completions", json=asked)
    assert answer.json()["choices"][0]["text"] == "Hello, world."
    assert len(outside[ProviderKind.REMOTE].seen) == 1


async def test_embeddings(client: httpx.AsyncClient, outside: Fakes) -> None:
    asked = {"model": "openai/text-embedding-3-small", "input": ["one", "two"]}
    answer = await client.post("/v1/embeddings", json=asked)
    assert [entry["embedding"] for entry in answer.json()["data"]] == [[0.0, 0.5], [1.0, 0.5]]
    assert answer.json()["usage"]["prompt_tokens"] == 7
    assert outside[ProviderKind.OPENAI].bodies == [{**asked, "model": "text-embedding-3-small"}]


@pytest.mark.parametrize("kind", list(ProviderKind))
@pytest.mark.parametrize("streams", [False, True])
async def test_responses(
    client: httpx.AsyncClient, outside: Fakes, kind: ProviderKind, streams: bool
) -> None:
    asked = {"model": CHATTING[kind], "input": "Say hello.", "stream": streams}
    answer = await client.post("/v1/responses", json=asked)
    assert answer.status_code == 200, answer.text
    value = events(answer.text)[-1]["response"] if streams else answer.json()
    assert value["output"][0]["content"][0]["text"] == "Hello, world."
    assert value["usage"]["total_tokens"] == 16


@pytest.mark.parametrize("kind", list(ProviderKind))
async def test_the_anthropic_sdk_has_a_tool_called(
    shared: Gateway, outside: Fakes, kind: ProviderKind
) -> None:
    outside[kind].says = Says(
        thoughts=("Two.",),
        texts=("I add.",),
        calls=(Call("call_abc123", "add", ('{"of":', "[2]}")),),
    )
    messages: list[Any] = [{"role": "user", "content": "2 + 3?"}]
    token = shared.tokens[Scope.COMPLETIONS]
    given: dict[str, Any] = {"model": CHATTING[kind], "max_tokens": 99, "tools": [ANTHROPIC_TOOL]}
    async with anthropic.AsyncAnthropic(base_url=shared.url, api_key=token, max_retries=0) as sdk:
        async with sdk.messages.stream(messages=messages, **given) as stream:
            first = await stream.get_final_message()
        assert [block.type for block in first.content] == ["thinking", "text", "tool_use"]
        used = first.content[-1]
        assert used.type == "tool_use"
        assert (used.name, used.input) == ("add", {"of": [2]})
        assert (first.usage.cache_read_input_tokens, first.usage.output_tokens) == (3, 5)
        outside[kind].says = Says()
        result = {"type": "tool_result", "tool_use_id": used.id, "content": "5"}
        messages += [
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": [result]},
        ]
        last = await sdk.messages.create(
            messages=messages, system="Be short.", tool_choice={"type": "auto"}, **given
        )
    assert last.content[0].type == "text"
    assert last.content[0].text == "Hello, world."
    assert last.stop_reason == "end_turn"


@pytest.mark.parametrize("kind", [ProviderKind.ANTHROPIC, ProviderKind.MISTRAL])
async def test_the_openai_sdk_has_a_tool_called(
    shared: Gateway, outside: Fakes, kind: ProviderKind
) -> None:
    outside[kind].says = Says(texts=(), calls=(Call("toolu_1", "add", ('{"of": [2]}',)),))
    token = shared.tokens[Scope.COMPLETIONS]
    async with openai.AsyncOpenAI(base_url=f"{shared.url}/v1", api_key=token, max_retries=0) as sdk:
        messages: list[Any] = [{"role": "user", "content": "2 + 3?"}]
        tools: list[Any] = [TOOL]
        async with sdk.chat.completions.stream(
            model=CHATTING[kind], messages=messages, tools=tools
        ) as stream:
            said = (await stream.get_final_completion()).choices[0].message
        assert said.tool_calls is not None
        (call,) = said.tool_calls
        assert json.loads(call.function.arguments) == {"of": [2]}
        outside[kind].says = Says()
        messages += [
            {"role": "assistant", "tool_calls": [call.model_dump(exclude={"parsed"})]},
            {"role": "tool", "tool_call_id": call.id, "content": "5"},
        ]
        last = await sdk.chat.completions.create(
            model=CHATTING[kind], messages=messages, tools=tools
        )
        counted = await sdk.models.list()
    assert last.choices[0].message.content == "Hello, world."
    assert CHATTING[kind] in [model.id for model in counted.data]


@pytest.mark.parametrize("kind", list(ProviderKind))
async def test_the_models_that_a_provider_offers(
    shared: Gateway, outside: Fakes, kind: ProviderKind
) -> None:
    async with shared.client(Scope.ADMIN) as admin:
        answer = await admin.post(f"/api/v1/providers/{kind.value}/test", json={})
        assert answer.json()["problem"] == ""
        names = [model["name"] for model in answer.json()["models"]]
        assert names == sorted(set(names))
        tried = names[0] if kind is not ProviderKind.REMOTE else "org/own:7b"
        answer = await admin.post(f"/api/v1/providers/{kind.value}/test", json={"model": tried})
    assert (answer.json()["problem"], answer.json()["answer"]) == ("", "Hello, world.")
    header = outside[kind].seen[-1].headers
    if not KEYS[kind]:
        assert "authorization" not in header
