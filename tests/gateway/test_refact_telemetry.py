"""What Refact's agent reports, to a real gateway, in the form that agent 0.10.14 was seen to send.

A real one reports in tests/e2e/test_clients.py.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from services.cluster.identity import Scope
from services.cluster.records import AdapterRecord
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.gateway.auth import DEFAULT_TEAM
from services.gateway.file_languages import language_of
from services.gateway.telemetry_reports import MAX_RECORDS, REMAINS
from tests.faults.redis_process import RedisProcess
from tests.gateway.conftest import MODEL, Gateway, gateway_settings, serving

BASIC, SNIPPETS, ROWS = "/stats/telemetry-basic", "/stats/telemetry-snippets", "/stats/rh-stats"
OK = {"retcode": "OK"}
WRITTEN: dict[str, Any] = {
    "file_extension": ".py",
    "model": f"{MODEL}+ast",
    "human_characters": 7,
    "robot_characters": 11,
    "completions_cnt": 1,
}
CALL: dict[str, Any] = {
    "url": "http://127.0.0.1:8008/v1/completions",
    "scope": "completion",
    "success": True,
    "error_message": "",
    "counter": 3,
}
REMAINING: dict[str, Any] = {
    "file_extension": ".py",
    "model": f"{MODEL}+ast",
    "multiline": False,
    **dict.fromkeys(REMAINS, 0),
    "after_360s_remaining_80_100": 2,
}
SECRET = "password = 'hunter2'"
SNIPPET: dict[str, Any] = {
    "model": MODEL,
    "inputs": {
        "sources": {"secrets.py": SECRET},
        "cursor": {"file": "secrets.py", "line": 0, "character": 3},
        "multiline": False,
    },
    "grey_text": SECRET,
    "corrected_by_user": SECRET,
    "remaining_percentage": 1.0,
    "created_ts": 1,
    "accepted_ts": 2,
    "finished_ts": 3,
    "snippet_telemetry_id": 100,
}


def report(teletype: str, *records: Any, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "records": list(records),
        "ts_start": now,
        "ts_end": now,
        "teletype": teletype,
        "enduser_client_version": "hearth-tests",
        **changes,
    }


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"hearth_{name}_total", labels) or 0


def written(by: str, model: str = MODEL, adapter: str = "", language: str = "Python") -> float:
    return counted("written_characters", by=by, model=model, adapter=adapter, language=language)


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """As the agent reads them: each line by itself."""
    assert answer.status_code == 200, answer.text
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert all(line["retcode"] == "OK" for line in lines)
    return [row for line in lines for row in line["data"]]


@pytest_asyncio.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway.client() as client:
        yield client


@pytest_asyncio.fixture
async def bare(store: Store, settings: ClusterSettings) -> AsyncIterator[Gateway]:
    """Without a model."""
    async with serving(gateway_settings(settings), store) as gateway:
        yield gateway


async def test_written_characters_are_counted_and_kept_as_rows(client: httpx.AsyncClient) -> None:
    robot, human = written("robot"), written("human")
    labels = {"model": MODEL, "adapter": "", "language": "Python"}
    completions = counted("written_completions", **labels)
    body = report("robot_human", WRITTEN)
    answer = await client.post(BASIC, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == OK
    assert written("robot") == robot + 11
    assert written("human") == human + 7
    assert counted("written_completions", **labels) == completions + 1
    (row,) = rows_of(await client.get(ROWS))
    assert abs(row.pop("ts_reported") - time.time()) < 60
    assert row == {
        "id": 1,
        "tenant_name": "admin",
        "ip": "",
        "enduser_client_version": "hearth-tests",
        "completions_cnt": 1,
        "file_extension": ".py",
        "human_characters": 7,
        "model": MODEL,
        "robot_characters": 11,
        "teletype": "robot_human",
        "ts_start": body["ts_start"],
        "ts_end": body["ts_end"],
    }


async def test_a_report_that_comes_again_is_one_row(client: httpx.AsyncClient) -> None:
    body = report("robot_human", WRITTEN, WRITTEN)
    for _ in range(2):
        assert (await client.post(BASIC, json=body)).json() == OK
    assert len(rows_of(await client.get(ROWS))) == 2


async def test_rows_come_in_lines_of_a_hundred(client: httpx.AsyncClient) -> None:
    empty = await client.get(ROWS)
    assert rows_of(empty) == []
    assert empty.text == '{"retcode": "OK", "data": []}\n'
    await client.post(BASIC, json=report("robot_human", *[WRITTEN] * 250))
    answer = await client.get(ROWS)
    assert [len(json.loads(line)["data"]) for line in answer.text.splitlines()] == [100, 100, 50]
    assert [row["id"] for row in rows_of(answer)] == list(range(1, 251))


async def test_what_a_client_made_up_is_no_label_and_no_row(
    client: httpx.AsyncClient, gateway: Gateway
) -> None:
    theirs = AdapterRecord(
        adapter_id="theirs", model=MODEL, name="a", team_id="others", rank=8, created_at=1
    )
    mine = theirs.model_copy(update={"adapter_id": "mine", "team_id": DEFAULT_TEAM})
    for adapter in (theirs, mine):
        await gateway.state.registry.put_adapter(adapter)
    await gateway.state.cache.refresh()
    before = {name: written("robot", *name) for name in ((MODEL, ""), (MODEL, "mine"), ("", ""))}
    names = {
        MODEL: (MODEL, ""),
        f"hearth/{MODEL}": (MODEL, ""),
        f"{MODEL}+ast+vecdb": (MODEL, ""),
        f"{MODEL}:mine": (MODEL, "mine"),
        f"hearth/{MODEL}:mine+ast": (MODEL, "mine"),
        f"{MODEL}:theirs": ("", ""),
        f"{MODEL}:none": ("", ""),
        f"{MODEL}:": ("", ""),
        "none/such": ("", ""),
        "": ("", ""),
        'a"}\n': ("", ""),
    }
    records = [{**WRITTEN, "model": name} for name in names]
    answer = await client.post(BASIC, json=report("robot_human", *records))
    assert answer.json() == OK
    for name, value in before.items():
        expected = 11 * list(names.values()).count(name)
        assert written("robot", *name) == value + expected, name
    shown = {row["model"] for row in rows_of(await client.get(ROWS))}
    assert shown == {MODEL, f"{MODEL}:mine", ""}


async def test_names_of_files_are_not_kept(client: httpx.AsyncClient) -> None:
    other = written("human", language="other")
    extensions = [".TS", "Makefile", "our-secret-plan", ".secret", ""]
    records = [{**WRITTEN, "file_extension": extension} for extension in extensions]
    await client.post(BASIC, json=report("robot_human", *records))
    assert written("human", language="other") == other + 3 * 7
    shown = [row["file_extension"] for row in rows_of(await client.get(ROWS))]
    assert sorted(shown) == [".ts", "makefile", "other", "other", "other"]


def test_languages_are_few() -> None:
    assert language_of(".py") == language_of(".PYI") == "Python"
    assert language_of("dockerfile") == "Dockerfile"
    assert language_of("py") == language_of("..py") == "other"


async def test_what_is_left_of_suggestions_is_counted(client: httpx.AsyncClient) -> None:
    labels = {"model": MODEL, "adapter": "", "after_seconds": "360", "remaining": "80-100"}
    before = counted("remaining_completions", **labels)
    assert (await client.post(BASIC, json=report("comp_counters", REMAINING))).json() == OK
    assert counted("remaining_completions", **labels) == before + 2
    labels["after_seconds"] = "30"
    assert counted("remaining_completions", **labels) == 0


async def test_calls_are_counted_without_their_addresses(client: httpx.AsyncClient) -> None:
    ends = {("completion", "ok"): 3, ("other", "failed"): 3}
    before = {end: counted("plugin_calls", scope=end[0], result=end[1]) for end in ends}
    failed = {**CALL, "scope": "/home/me/secret", "success": False, "error_message": SECRET}
    assert (await client.post(BASIC, json=report("network", CALL, failed))).json() == OK
    for (scope, result), count in ends.items():
        assert counted("plugin_calls", scope=scope, result=result) == (
            before[scope, result] + count
        )
    metrics = (await client.get("/metrics")).text
    assert "/home/me" not in metrics
    assert SECRET not in metrics
    assert CALL["url"] not in metrics


async def test_snippets_are_counted_and_neither_kept_nor_logged(
    client: httpx.AsyncClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    before = counted("plugin_snippets")
    body = report("snippets", SNIPPET)
    assert (await client.post(SNIPPETS, json=body)).json() == OK
    assert counted("plugin_snippets") == before + 1
    refused = await client.post(SNIPPETS, json={**body, "ts_end": SECRET})
    assert refused.status_code == 400
    assert "hunter2" not in refused.text
    assert "hunter2" not in caplog.text
    async for key in store.redis.scan_iter():
        kind = await store.redis.type(key)
        assert kind != "zset" or "written-rows" not in key
    assert "hunter2" not in (await client.get("/metrics")).text


async def test_what_is_new_is_taken_and_ignored(client: httpx.AsyncClient) -> None:
    """Refused, the agent would send it again every hour."""
    newer = [{**WRITTEN, "mood": "good"}, WRITTEN]
    for body in (
        report("robot_human", *newer, host="laptop", team=None),
        report("chat", {"scope": "copy", "success": True, "counter": 1}),
        report("weather", {"sun": 1}, {}),
        report("network"),
        report("comp_counters", {"model": "", "after_720s_remaining_0": "many"}),
    ):
        answer = await client.post(BASIC, json=body)
        assert (answer.status_code, answer.json()) == (200, OK), answer.text
    assert len(rows_of(await client.get(ROWS))) == 2


async def test_old_agents_count_below_nothing(client: httpx.AsyncClient) -> None:
    before = written("human")
    body = report("robot_human", {**WRITTEN, "human_characters": -5})
    assert (await client.post(BASIC, json=body)).json() == OK
    assert written("human") == before
    assert [row["human_characters"] for row in rows_of(await client.get(ROWS))] == [0]


NOW = int(time.time())


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "teletype"),
        (report("robot_human", records=None), "records"),
        (report("robot_human", 1), "records.0"),
        (report("weather", *[{}] * (MAX_RECORDS + 1)), "records"),
        (report("x" * 501), "teletype"),
        (report("weather", ts_start=1, ts_end=1), "ts_start"),
        (report("weather", ts_end=NOW - 3600), "ts_end must not be before"),
        (report("weather", ts_end=NOW + 3 * 24 * 3600), "in the future"),
        (report("weather", ts_end=1e12), "ts_end"),
        (report("weather", ts_end=True), "ts_end"),
        (report("robot_human", {**WRITTEN, "robot_characters": -1}), "robot_characters"),
        (report("robot_human", {**WRITTEN, "robot_characters": 10**10}), "robot_characters"),
        (report("robot_human", {**WRITTEN, "robot_characters": 1.5}), "robot_characters"),
        (report("robot_human", {**WRITTEN, "human_characters": "7"}), "human_characters"),
        (report("robot_human", {**WRITTEN, "completions_cnt": 10**30}), "completions_cnt"),
        (report("robot_human", {**WRITTEN, "file_extension": "x" * 1001}), "file_extension"),
        (report("robot_human", WRITTEN, {**WRITTEN, "model": 5}), "records.1.model"),
        (report("network", {**CALL, "counter": -1}), "counter"),
        (report("network", {**CALL, "success": "yes"}), "success"),
        (report("comp_counters", {**REMAINING, "after_30s_remaining_0": -1}), "after_30s"),
        (report("comp_counters", {**REMAINING, "after_30s_remaining_0": None}), "after_30s"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_of_it_counted(
    bare: Gateway, body: dict[str, Any], told: str
) -> None:
    before = [(sample.name, sample.labels, sample.value) for sample in _counters()]
    async with bare.client() as client:
        answer = await client.post(BASIC, json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["retcode"] == "FAILED"
        assert told in answer.json()["human_readable_message"]
        assert answer.json()["detail"] == answer.json()["human_readable_message"]
        assert rows_of(await client.get(ROWS)) == []
    assert before == [(sample.name, sample.labels, sample.value) for sample in _counters()]


def _counters() -> list[Any]:
    names = ("hearth_written", "hearth_remaining", "hearth_plugin")
    return [
        sample
        for metric in REGISTRY.collect()
        if metric.name.startswith(names)
        for sample in metric.samples
        if sample.name.endswith("_total")
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"records": NaN}'])
async def test_what_is_no_report_is_refused(bare: Gateway, content: bytes) -> None:
    async with bare.client() as client:
        for path in (BASIC, SNIPPETS):
            answer = await client.post(path, content=content)
            assert answer.status_code == 400
            assert answer.json()["retcode"] == "FAILED"


async def test_users_see_their_own_rows_and_nobody_in_open_mode_any(
    store: Store, settings: ClusterSettings
) -> None:
    async with serving(gateway_settings(settings, open_completions=True), store) as gateway:
        identity = gateway.state.identity
        token, _ = await identity.create_token("other", "ide", frozenset({Scope.COMPLETIONS}))
        async with gateway.client() as mine, gateway.client(None) as nobody:
            await mine.post(BASIC, json=report("robot_human", WRITTEN))
            before = written("robot", model="")
            answer = await nobody.post(BASIC, json=report("robot_human", WRITTEN))
            assert answer.json() == OK
            assert written("robot", model="") == before + 11
            assert rows_of(await nobody.get(ROWS)) == []
            nobody.headers["Authorization"] = f"Bearer {token}"
            await gateway.state.tokens.refresh(token.split("_")[1])
            assert rows_of(await nobody.get(ROWS)) == []
            assert len(rows_of(await mine.get(ROWS))) == 1


async def test_without_redis_the_agent_keeps_its_report(tmp_path: Path) -> None:
    redis = RedisProcess(tmp_path / "redis")
    try:
        settings = ClusterSettings(redis_url=redis.url, data_dir=tmp_path, host_id="here")
        store = await Store.connect(redis.url)
        async with (
            serving(gateway_settings(settings), store) as gateway,
            gateway.client() as client,
        ):
            before = written("robot", model="")
            redis.kill()
            body = report("robot_human", WRITTEN)
            for answer in (await client.post(BASIC, json=body), await client.get(ROWS)):
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.json()["retcode"] == "FAILED"
            assert written("robot", model="") == before
            assert (await client.post(BASIC, json=report("network", CALL))).json() == OK
        await store.close()
    finally:
        redis.kill()


@pytest.mark.parametrize(("method", "path"), [("POST", BASIC), ("POST", SNIPPETS), ("GET", ROWS)])
async def test_it_needs_a_token_for_completions(bare: Gateway, method: str, path: str) -> None:
    async with bare.client(None) as client:
        answer = await client.request(method, path)
        assert answer.status_code == 401
        assert answer.json()["retcode"] == "FAILED"
    async with bare.client(Scope.MODELS_READ) as client:
        assert (await client.request(method, path)).status_code == 403
