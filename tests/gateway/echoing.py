"""`python -m tests.gateway.echoing REDIS_URL FOLDER REPLICA_ID`: an echo replica in a process of
its own, until it is killed. Says `up`, then the id of each request that it has answered."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from pydantic import SecretStr

from services.cluster.log import request_id_var
from services.cluster.registry import Registry
from services.cluster.registry_cache import Heartbeat
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.engines.echo_engine import EchoEngine
from services.inference.engines.generation import Delta, GenerationRequest
from tests.gateway.conftest import echo_replica


def say(word: str) -> None:
    print(word, flush=True)  # noqa: T201


class TellingEngine(EchoEngine):
    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta]:
        async for delta in super().generate(request):
            if delta.finish:
                say(request_id_var.get())
            yield delta


async def main(redis_url: str, folder: str, replica_id: str) -> None:
    settings = ClusterSettings(
        redis_url=redis_url,
        data_dir=Path(folder),
        cluster_key=SecretStr("test-key"),
        host_id="here",
    )
    registry = Registry(await Store.connect(redis_url))
    async with (
        echo_replica(settings, registry, replica_id, Path(folder), TellingEngine) as replica,
        Heartbeat(lambda: registry.put_replica(replica.state.record())),
    ):
        say("up")
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
