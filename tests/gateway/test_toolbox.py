"""The toolbox: its table, what an administrator makes of it, and what plugins read of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from services.cluster.errors import BadRequest, Conflict
from services.cluster.identity import Scope
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.cluster.toolbox import PromptMessage, Selection, ToolboxCommand, ToolboxRecord
from services.gateway.toolbox.commands import (
    MAX_COMMANDS,
    Origin,
    default_commands,
    listed,
    put,
    reset,
)
from services.gateway.toolbox.customization import customization
from services.gateway.toolbox_views import WantedCommand
from tests.gateway.conftest import EchoReplica, Gateway, gateway_settings, serving

PATH = "/api/v1/toolbox"
DEFAULTS = default_commands()
MINE = ToolboxCommand(
    name="mine",
    label="Mine",
    description="Of ours",
    selection=Selection.OPTIONAL,
    messages=(PromptMessage(role="user", content="Do it: %CODE_SELECTION%"),),
)


def wanted(**changes: Any) -> dict[str, Any]:
    """The body of a request."""
    message = {"role": "user", "content": "Rhyme: %CODE_SELECTION%"}
    return {
        "label": "Rhyme",
        "description": "Say it in verse",
        "min_lines": 1,
        "max_lines": 9,
        "messages": [message],
        "edition": 0,
        **changes,
    }


def test_what_comes_along_is_what_the_api_would_take() -> None:
    assert len(DEFAULTS) >= 13
    for name, command in DEFAULTS.items():
        fields = command.model_dump(mode="json", exclude={"name"})
        assert WantedCommand(**fields, edition=0).command(name) == command
        said = "".join(message.content for message in command.messages)
        assert "%CODE_SELECTION%" in said
        assert said.strip() == said


def test_an_upgrade_changes_what_nobody_has_changed() -> None:
    """A command that is only switched off keeps nothing of its text."""
    record = put(DEFAULTS, ToolboxRecord(), DEFAULTS["explain"], enabled=False, edition=0)
    newer = DEFAULTS["explain"].model_copy(update={"label": "Newer"})
    mine = DEFAULTS["bugs"].model_copy(update={"label": "As I want it"})
    record = put(DEFAULTS, record, mine, enabled=True, edition=0)
    upgraded = {**DEFAULTS, "explain": newer, "bugs": newer.model_copy(update={"name": "bugs"})}
    found = listed(upgraded, record)
    assert found["explain"].command == newer
    assert not found["explain"].enabled
    assert found["bugs"].command == mine
    assert found["bugs"].origin is Origin.CHANGED
    without = {name: command for name, command in DEFAULTS.items() if name != "explain"}
    assert "explain" not in listed(without, record)


def test_a_command_put_back_by_hand_is_no_difference() -> None:
    changed = DEFAULTS["explain"].model_copy(update={"label": "Other"})
    record = put(DEFAULTS, ToolboxRecord(), changed, enabled=True, edition=0)
    edition = listed(DEFAULTS, record)["explain"].edition
    assert edition > 0
    record = put(DEFAULTS, record, DEFAULTS["explain"], enabled=True, edition=edition)
    assert record.changes == {}
    assert listed(DEFAULTS, record)["explain"].origin is Origin.DEFAULT


def test_who_has_seen_an_older_edition_overwrites_nothing() -> None:
    record = put(DEFAULTS, ToolboxRecord(), MINE, enabled=True, edition=0)
    edition = listed(DEFAULTS, record)["mine"].edition
    newer = MINE.model_copy(update={"label": "Newer"})
    record = put(DEFAULTS, record, newer, enabled=True, edition=edition)
    with pytest.raises(Conflict, match="edition 2, and you have seen 1"):
        put(DEFAULTS, record, MINE, enabled=True, edition=edition)
    with pytest.raises(Conflict):
        reset(DEFAULTS, record, "mine", edition=edition)
    again = reset(DEFAULTS, record, "mine", edition=record.edition)
    again = put(DEFAULTS, again, newer, enabled=True, edition=0)
    with pytest.raises(Conflict):  # not even when it was removed and made anew meanwhile
        put(DEFAULTS, again, MINE, enabled=True, edition=edition)
    assert put(DEFAULTS, again, newer, enabled=True, edition=0) == again  # a repetition


def test_there_is_an_end_to_commands_and_to_prompts() -> None:
    record = ToolboxRecord()
    for number in range(MAX_COMMANDS - len(DEFAULTS)):
        named = MINE.model_copy(update={"name": f"mine-{number}"})
        record = put(DEFAULTS, record, named, enabled=True, edition=0)
    with pytest.raises(BadRequest, match="100 commands, which is the most"):
        put(DEFAULTS, record, MINE, enabled=True, edition=0)
    record = ToolboxRecord()
    long = (PromptMessage(role="user", content="x" * 8000),) * 8
    for number in range(2):
        named = MINE.model_copy(update={"name": f"long-{number}", "messages": long})
        record = put(DEFAULTS, record, named, enabled=True, edition=0)
    with pytest.raises(BadRequest, match="200000 are the most"):
        put(
            DEFAULTS,
            record,
            MINE.model_copy(update={"messages": long * 2}),
            enabled=True,
            edition=0,
        )


def test_a_plugin_reads_what_is_switched_on() -> None:
    odd = "é \x85 \u2028 \ufeff 💾 \" \\ ' # : %CODE_SELECTION%"
    command = MINE.model_copy(update={"messages": (PromptMessage(role="user", content=odd),)})
    record = put(DEFAULTS, ToolboxRecord(), command, enabled=True, edition=0)
    record = put(DEFAULTS, record, DEFAULTS["typos"], enabled=False, edition=0)
    text = customization(listed(DEFAULTS, record).values())
    read = json.loads(text)["toolbox_commands"]
    assert read.keys() == DEFAULTS.keys() - {"typos"} | {"mine"}
    assert read["mine"] == {
        "description": "Of ours",
        "selection_needed": [],
        "selection_unwanted": False,
        "messages": [{"role": "user", "content": odd}],
    }
    assert read["shorter"]["selection_needed"] == [2, 300]
    assert not set(text) & set("\x85\u2028\ufeff")  # YAML would read them as something else


async def shown(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(PATH)
    assert answer.status_code == 200, answer.text
    return {command["name"]: command for command in answer.json()}


async def caps(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    """Their version, and the commands that a plugin reads."""
    async with gateway.client() as client:
        read = (await client.get("/refact-caps")).json()
    return read["caps_version"], json.loads(read["customization"])["toolbox_commands"]


async def test_commands_are_changed_added_and_put_back(gateway: Gateway) -> None:
    version, before = await caps(gateway)
    assert before["explain"]["messages"][1]["content"].startswith("Explain this code")
    async with gateway.client(Scope.ADMIN) as client:
        assert {c["origin"] for c in (await shown(client)).values()} == {"default"}
        added = await client.put(f"{PATH}/rhyme", json=wanted())
        assert added.status_code == 200, added.text
        assert added.json()["origin"] == "added"
        changed = await client.put(f"{PATH}/explain", json=wanted())
        assert changed.json()["origin"] == "changed"
        now = await shown(client)
        assert now["rhyme"] == added.json()
        assert now["explain"] == changed.json()
        newer, read = await caps(gateway)
        assert newer >= version + 2
        assert read["rhyme"] == read["explain"]
        assert read["rhyme"]["selection_needed"] == [1, 9]
        for name in ("explain", "rhyme"):
            parameters = {"edition": now[name]["edition"]}
            gone = await client.delete(f"{PATH}/{name}", params=parameters)
            assert gone.status_code == 204
        assert (await shown(client)).keys() == DEFAULTS.keys()
    assert (await caps(gateway))[1] == before


async def test_a_command_is_switched_off(gateway: Gateway) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        typos = (await shown(client))["typos"]
        body = {name: typos[name] for name in WantedCommand.model_fields}
        off = await client.put(f"{PATH}/typos", json={**body, "enabled": False})
        assert off.json() == {**typos, "enabled": False, "edition": 1}
        assert "typos" not in (await caps(gateway))[1]
        on = await client.put(f"{PATH}/typos", json={**body, "edition": 1})
        assert on.json() == typos
    assert "typos" in (await caps(gateway))[1]


async def test_of_two_editors_one_is_told(gateway: Gateway) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        answers = await asyncio.gather(
            *(client.put(f"{PATH}/explain", json=wanted(label=f"Of {who}")) for who in "ab")
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        (told,) = (answer for answer in answers if answer.status_code == 409)
        assert told.json()["error"]["param"] == "edition"
        assert "Load it again" in told.json()["detail"]
        (kept,) = (answer.json() for answer in answers if answer.status_code == 200)
        assert (await shown(client))["explain"] == kept


async def test_another_gateway_has_it_too(
    gateway: Gateway, store: Store, settings: ClusterSettings, replica: EchoReplica
) -> None:
    async with serving(gateway_settings(settings), store) as other:
        async with gateway.client(Scope.ADMIN) as client:
            await client.put(f"{PATH}/rhyme", json=wanted())
        async with other.client() as client, asyncio.timeout(10):
            while "rhyme" not in await shown(client):
                await other.state.cache.changed()


async def test_who_may(gateway: Gateway) -> None:
    async with gateway.client() as plugin:
        assert await shown(plugin)
        answer = await plugin.put(f"{PATH}/rhyme", json=wanted())
        assert answer.status_code == 403
    async with gateway.client(Scope.MODELS_READ) as client:
        assert (await client.get(PATH)).status_code == 403


MESSAGE = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("Big", {}, "characters a-z, 0-9 and -"),
        ("x" * 41, {}, "characters a-z, 0-9 and -"),
        ("x", {"label": "  "}, "label"),
        ("x", {"label": "x" * 61}, "label"),
        ("x", {"description": ""}, "description"),
        ("x", {"min_lines": 0}, "at least 1"),
        ("x", {"min_lines": 5, "max_lines": 4}, "no more than max_lines"),
        ("x", {"selection": "unwanted"}, "leave them out"),
        ("x", {"selection": "maybe"}, "'needed', 'optional' or 'unwanted'"),
        ("x", {"messages": []}, "messages"),
        ("x", {"messages": [MESSAGE] * 9}, "messages"),
        ("x", {"messages": [{**MESSAGE, "content": ""}]}, "messages.0.content"),
        ("x", {"messages": [{**MESSAGE, "content": "x" * 8001}]}, "messages.0.content"),
        ("x", {"messages": [{**MESSAGE, "role": "assistant"}]}, "'system' or 'user'"),
        ("x", {"messages": [{**MESSAGE, "role": "system"}]}, "one of the user"),
        ("x", {"messages": [{**MESSAGE, "content": "%LANGUAGE%"}]}, "%CODE_SELECTION%"),
        ("x", {"messages": [{**MESSAGE, "content": "%ARGS% %ARGS%"}]}, "Write it once"),
        ("x", {"edition": None}, "edition"),
        ("x", {"edition": 7}, "edition 0, and you have seen 7"),
        ("x", {"model": "m"}, "model"),
    ],
)
async def test_what_cannot_be_a_command_is_refused(
    gateway: Gateway, name: str, changes: dict[str, Any], words: str
) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        body = json.dumps(wanted(**changes))  # half a character can be said in it
        headers = {"Content-Type": "application/json"}
        answer = await client.put(f"{PATH}/{name}", content=body, headers=headers)
        assert answer.status_code in (400, 409)
        assert words in answer.json()["detail"]
        assert (await shown(client)).keys() == DEFAULTS.keys()


async def test_what_is_not_there_cannot_be_removed(gateway: Gateway) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        assert (await client.delete(f"{PATH}/no", params={"edition": 0})).status_code == 404
        assert (await client.delete(f"{PATH}/explain", params={"edition": 0})).status_code == 204
        unsaid = await client.delete(f"{PATH}/explain")
        assert unsaid.status_code == 400
        assert "edition" in unsaid.json()["detail"]
