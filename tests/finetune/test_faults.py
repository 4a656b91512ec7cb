"""What killed, stopped and paused processes leave to the next attempt."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.finetune.datasets import write_dataset
from tests.finetune.running import FinetuneHost, ended, finetune_host

pytestmark = pytest.mark.faults
AWAY_SECONDS = 5.0  # longer than the lease of these runs


@pytest_asyncio.fixture
async def host(
    store: Store, settings: ClusterSettings, tiny_model: Path
) -> AsyncIterator[FinetuneHost]:
    async with finetune_host(store, settings, tiny_model) as host:
        write_dataset(host.artifacts)
        await host.start()
        yield host


async def test_a_killed_trainer_and_a_killed_service_go_on_from_the_last_checkpoint(
    host: FinetuneHost,
) -> None:
    created = await host.create(
        publish_policy=pb.PUBLISH_POLICY_ALWAYS, train_steps=120, batch_size=1
    )
    await host.run_when(created.run_id, lambda run: bool(run.best_checkpoint_id))
    (trainer,) = host.trainers()
    trainer.kill()
    await host.run_when(
        created.run_id, lambda run: run.attempt == 2 and bool(run.resumed_from_checkpoint_id)
    )
    async with asyncio.timeout(30):
        while not (trainers := host.trainers()):
            await asyncio.sleep(0.01)
    await host.end(signal.SIGKILL)
    trainers[0].wait(10)  # it dies with its parent
    await host.start()
    run = await host.run_when(created.run_id, ended)
    assert (run.status, run.attempt) == (pb.RUN_STATUS_SUCCEEDED, 3), run.error
    assert len((await host.registry.view()).adapters) == 1
    assert len(list((host.settings.data_dir / "adapters").iterdir())) == 1
    steps = [e.metrics.step for e in await host.history(run.run_id) if e.HasField("metrics")]
    assert set(steps) == set(range(1, 121))


async def test_a_stopped_service_leaves_a_checkpoint_and_the_next_goes_on(
    host: FinetuneHost,
) -> None:
    created = await host.create(train_steps=2000, batch_size=1)
    seen = await host.run_when(created.run_id, lambda run: run.progress.num_done_steps > 5)
    assert await host.end(signal.SIGTERM) == 0
    await host.start()
    run = await host.run_when(created.run_id, lambda run: bool(run.resumed_from_checkpoint_id))
    assert run.attempt == 2
    checkpoints = await host.stub.ListCheckpoints(pb.ListCheckpointsRequest(run_id=run.run_id))
    assert checkpoints.checkpoints[-1].step >= seen.progress.num_done_steps
    await host.stub.CancelRun(pb.CancelRunRequest(run_id=run.run_id))
    assert (await host.run_when(run.run_id, ended)).status == pb.RUN_STATUS_CANCELLED


async def test_a_service_that_wakes_after_its_lease_writes_nothing(host: FinetuneHost) -> None:
    created = await host.create(
        publish_policy=pb.PUBLISH_POLICY_ALWAYS, train_steps=400, batch_size=1
    )
    await host.run_when(created.run_id, lambda run: bool(run.best_checkpoint_id))
    sleeper = host.process
    assert sleeper is not None
    sleeper.send_signal(signal.SIGSTOP)
    try:
        await host.start()
        await host.run_when(created.run_id, lambda run: bool(run.resumed_from_checkpoint_id))
        sleeper.send_signal(signal.SIGCONT)
        run = await host.run_when(created.run_id, ended)
    finally:
        sleeper.kill()
        await sleeper.wait()
    assert (run.status, run.attempt) == (pb.RUN_STATUS_SUCCEEDED, 2), run.error
    assert len((await host.registry.view()).adapters) == 1
    events = [event for event in await host.history(run.run_id) if not event.HasField("run")]
    ids = [int(event.event_id) for event in events]
    assert ids == list(range(1, len(ids) + 1))
    attempts = [event.metrics.attempt for event in events if event.HasField("metrics")]
    assert attempts == sorted(attempts)
    checkpoints = await host.stub.ListCheckpoints(pb.ListCheckpointsRequest(run_id=run.run_id))
    assert len({c.step for c in checkpoints.checkpoints}) == len(checkpoints.checkpoints)


async def test_a_training_goes_on_while_redis_is_away(host: FinetuneHost, store: Store) -> None:
    created = await host.create(
        publish_policy=pb.PUBLISH_POLICY_ALWAYS, train_steps=300, batch_size=1
    )
    await host.run_when(created.run_id, lambda run: run.progress.num_done_steps > 2)
    redis = psutil.Process(int((await store.redis.info())["process_id"]))
    redis.suspend()
    try:
        await asyncio.sleep(AWAY_SECONDS)
    finally:
        redis.resume()
    run = await host.run_when(created.run_id, ended)
    assert (run.status, run.attempt) == (pb.RUN_STATUS_SUCCEEDED, 1), run.error
    assert len((await host.registry.view()).adapters) == 1
