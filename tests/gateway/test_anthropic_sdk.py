"""The anthropic SDK, unmodified, with a tool: what one turn answers, the next one sends back."""

from __future__ import annotations

import json
from pathlib import Path

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.chat_template import ChatTemplate
from services.inference.engines.generation import Delta
from tests.gateway.conftest import (
    MODEL,
    EchoReplica,
    Gateway,
    deployment,
    echo_replica,
    gateway_settings,
    serving,
)
from tests.gateway.test_anthropic_messages import ScriptedEngine, call, say

ADD: ToolParam = {
    "name": "add",
    "description": "Adds.",
    "input_schema": {"type": "object", "properties": {"of": {"type": "array"}}},
}


async def loop(gateway: Gateway, replica: EchoReplica) -> None:
    say(
        replica,
        Delta(reasoning="Two numbers."),
        Delta(text="I add."),
        call(0, '{"of": [', "add", "call_1"),
        call(0, "2, 3]}"),
        reason="tool_calls",
    )
    messages: list[MessageParam] = [{"role": "user", "content": "2 + 3?"}]
    async with anthropic.AsyncAnthropic(
        base_url=gateway.url, api_key=next(iter(gateway.tokens.values())), max_retries=0
    ) as sdk:
        async with sdk.messages.stream(
            model=MODEL, max_tokens=99, messages=messages, tools=[ADD]
        ) as stream:
            first = await stream.get_final_message()
        assert first.stop_reason == "tool_use"
        assert (first.usage.input_tokens, first.usage.cache_read_input_tokens) == (6, 4)
        used = first.content[-1]
        assert used.type == "tool_use"
        assert used.input == {"of": [2, 3]}
        messages += [
            {"role": "assistant", "content": first.content},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": used.id, "content": "5"}],
            },
        ]
        say(replica, Delta(text="It is 5."))
        last = await sdk.messages.create(
            model=MODEL, max_tokens=99, messages=messages, tools=[ADD], tool_choice={"type": "auto"}
        )
        counted = await sdk.messages.count_tokens(model=MODEL, messages=messages, tools=[ADD])
        say(replica, call(0, "{of", "add", "call_2"), reason="tool_calls")
        with pytest.raises(anthropic.InternalServerError, match="not a JSON object"):
            await sdk.messages.create(model=MODEL, max_tokens=9, messages=messages, tools=[ADD])
    assert [block.type for block in last.content] == ["text"]
    assert last.stop_reason == "end_turn"
    ids = replica.engine.requests[-2].prompt_token_ids
    assert counted.input_tokens == len(ids)
    question, told, result = json.loads(replica.engine.tokenizer.decode(ids))
    assert question == {"role": "user", "content": "2 + 3?"}
    assert (told["content"], told["reasoning"]) == ("I add.", "Two numbers.")
    assert told["tool_calls"][0]["function"] == {"name": "add", "arguments": {"of": [2, 3]}}
    assert (result["role"], result["content"], result["tool_call_id"]) == ("tool", "5", "call_1")


async def test_a_loop_with_a_tool(store: Store, settings: ClusterSettings, tmp_path: Path) -> None:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    async with (
        echo_replica(settings, registry, "r1", tmp_path, ScriptedEngine) as replica,
        serving(gateway_settings(settings), store) as gateway,
    ):
        replica.engine.tokenizer.chat_template = ChatTemplate("{{ messages | tojson }}", {})
        await loop(gateway, replica)
