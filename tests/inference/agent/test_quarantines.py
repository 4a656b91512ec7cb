"""Quarantines with real processes on the double's GPUs."""

from __future__ import annotations

import signal
import time

import pytest

from services.cluster.devices.assignments import Devices
from services.cluster.devices.fingerprint import Fingerprints, fingerprints
from services.cluster.devices.labels import label
from services.cluster.devices.records import AssignmentRecord, AssignmentRequest
from services.cluster.errors import DevicesUnavailable
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from services.inference.agent.quarantines import Quarantines, clear_predecessor
from tests.cluster.devices.specs import set_job
from tests.cluster.devices.test_labels import PARENT, SLEEP, running

GRACE_SECONDS = 20.0
RUN = AssignmentRequest("run/r", job_id="r", token=1)


class Host:
    """One GPU, and its agent's passes at the times that a test says."""

    def __init__(self, store: Store, settings: ClusterSettings) -> None:
        doubled = settings.model_copy(update={"nvml_double": True, "nvml_double_gpus": "24"})
        self.devices = Devices(store)
        self.seen: Fingerprints = fingerprints(doubled)
        self.quarantines = Quarantines(self.devices, GRACE_SECONDS)

    async def look(self, now: float = 0.0) -> list[AssignmentRecord]:
        """The assignments that the host has afterwards."""
        quarantined = await self.devices.quarantine_lost("here")
        seen = self.seen.take()
        await self.devices.publish("here", seen.devices)
        await self.quarantines.tend(quarantined, seen, now)
        return list((await self.devices.host_snapshot("here")).assignments)


def environment(assignment: AssignmentRecord) -> dict[str, str]:
    return label(assignment) | {"CUDA_VISIBLE_DEVICES": assignment.device_ids[0]}


async def a_lost_run(host: Host, store: Store) -> AssignmentRecord:
    await host.look()
    await set_job(store, "r", "running", 1)
    return await host.devices.assign(RUN)


async def test_a_lost_lease_frees_the_gpu_only_after_its_processes_are_gone(
    store: Store, settings: ClusterSettings
) -> None:
    host = Host(store, settings)
    assignment = await a_lost_run(host, store)
    with running(PARENT, environment(assignment)) as process:
        await set_job(store, "r", "queued", 1)
        assert [a.quarantined for a in await host.look(100.0)] == [True]
        with pytest.raises(DevicesUnavailable, match="in quarantine"):
            await host.devices.assign(AssignmentRequest("replica/a"))
        await host.look(100.0 + GRACE_SECONDS - 1)
        assert process.poll() is None
        await host.look(100.0 + GRACE_SECONDS)
        assert process.wait(10) == -signal.SIGKILL
        deadline = time.monotonic() + 10
        while await host.look(130.0) and time.monotonic() < deadline:
            pass
        assert await host.devices.assign(AssignmentRequest("replica/a"))


async def test_a_process_without_a_label_is_waited_for_and_never_killed(
    store: Store, settings: ClusterSettings
) -> None:
    host = Host(store, settings)
    (gpu,) = host.seen.take().devices
    with running(SLEEP, {"CUDA_VISIBLE_DEVICES": gpu.device_id}):  # was there before: harmless
        await a_lost_run(host, store)
        with running(SLEEP, {"CUDA_VISIBLE_DEVICES": gpu.device_id}) as unknown:
            await set_job(store, "r", "queued", 1)
            for now in (0.0, 100.0, 200.0):
                assert [a.quarantined for a in await host.look(now)] == [True]
            assert unknown.poll() is None
        assert await host.look(300.0) == []


async def test_whoever_wakes_after_its_quarantine_is_killed(
    store: Store, settings: ClusterSettings
) -> None:
    host = Host(store, settings)
    assignment = await a_lost_run(host, store)
    await set_job(store, "r", "queued", 1)
    assert await host.look() == []
    with running(SLEEP, environment(assignment)) as late:
        await host.look()
        assert late.wait(10) == -signal.SIGKILL


async def test_a_new_agent_ends_what_its_predecessors_replicas_left(
    store: Store, settings: ClusterSettings
) -> None:
    host = Host(store, settings)
    await host.look()
    kept = await host.devices.assign(AssignmentRequest("replica/a"))
    with running(PARENT, environment(kept)) as left:
        await clear_predecessor(host.devices, "here", host.seen)
        assert left.wait(10) == -signal.SIGKILL
    assert await host.look() == [kept]  # to be used again by the replica, or released
