"""kill -STOP of a replica: the other one answers; after kill -CONT one request finds it back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.gateway.conftest import Gateway, deployment, gateway_settings, serving

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SILENT_SECONDS = 0.5
DEADLINE_SECONDS = 60.0  # for a first token: nobody waits for it


class Echoing:
    """`answered` are the ids of its requests."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.answered: list[str] = []
        self._process = process

    def stop(self) -> None:
        """Returns when all its threads stand still."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def wake(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def answered_of(self, batch: str) -> list[str]:
        return [i for i in self.answered if i.startswith(f"{batch}-")]

    async def listen(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            self.answered.append(line.decode().strip())


@asynccontextmanager
async def echoing(settings: ClusterSettings, replica_id: str) -> AsyncIterator[Echoing]:
    words = (settings.redis_url, str(settings.data_dir), replica_id)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.gateway.echoing", *words),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    listening = None
    try:
        assert process.stdout
        assert await process.stdout.readline() == b"up\n"
        replica = Echoing(process)
        listening = asyncio.create_task(replica.listen())
        yield replica
    finally:
        process.kill()
        await process.wait()
        if listening:
            await listening


async def ask(gateway: Gateway, request_id: str) -> httpx.Response:
    async with gateway.client() as client:
        client.headers["X-Request-Id"] = request_id
        return await client.post("/v1/completions", json={"prompt": "abc", "max_tokens": 2})


def num_open() -> float:
    return REGISTRY.get_sample_value("hearth_breakers", {"state": "open"}) or 0.0


async def test_a_stopped_replica_costs_no_answer_and_is_found_back_by_one_request(
    store: Store, settings: ClusterSettings
) -> None:
    registry = Registry(store)
    await registry.put_deployment(deployment())
    own = gateway_settings(
        settings, silent_seconds=SILENT_SECONDS, first_token_seconds=DEADLINE_SECONDS
    )
    async with (
        echoing(settings, "r1") as first,
        echoing(settings, "r2") as second,
        serving(own, store) as gateway,
    ):
        await asyncio.gather(*(ask(gateway, f"calm-{n}") for n in range(20)))
        assert first.answered
        assert second.answered
        before = num_open()
        first.stop()
        async with asyncio.timeout(DEADLINE_SECONDS / 2):
            answers = await asyncio.gather(*(ask(gateway, f"stopped-{n}") for n in range(20)))
            answers += [await ask(gateway, f"later-{n}") for n in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert not first.answered_of("stopped")
        assert num_open() == before + 1

        first.wake()
        number = 0
        async with asyncio.timeout(60):
            while num_open() > before:
                number += 1
                assert (await ask(gateway, f"woken-{number}")).status_code == 200
            while not first.answered_of("woken"):
                await asyncio.sleep(0.01)
        assert first.answered_of("woken") == [f"woken-{number}"]
