from __future__ import annotations

import pytest

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import GIB, AssignmentRequest, DeviceRecord
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobSignal
from services.cluster.store.connection import Store
from services.inference.agent.run_yields import RunYields


@pytest.mark.parametrize(
    ("gib", "is_asked"), [(2, False), (4, True), (8, True), (16, False)], ids=str
)
async def test_a_run_yields_when_serving_would_fit_without_it(
    store: Store, gib: int, is_asked: bool
) -> None:
    devices, jobs = Devices(store), JobQueue(store)
    device = DeviceRecord(
        device_id="g0", host_id="h1", kind="cuda", name="GPU", total_bytes=8 * GIB
    )
    await devices.publish("h1", [device])
    await jobs.enqueue(JobKind.RUN, {})
    run = await jobs.claim(JobKind.RUN, "w1")
    assert run is not None
    held = AssignmentRequest(
        f"run/{run.job_id}", device_bytes=6 * GIB, job_id=run.job_id, token=run.token
    )
    await devices.assign(held)
    wanted = AssignmentRequest("replica/d1-0", device_bytes=gib * GIB)
    asked = await RunYields(devices, jobs).ask(wanted)
    assert asked == ((run.job_id,) if is_asked else ())
    assert await jobs.heartbeat(run) is (JobSignal.YIELD if is_asked else JobSignal.GO_ON)
    if is_asked:
        await devices.release(held.holder, job_id=run.job_id, token=run.token)
        await jobs.give_back(run, "It made room.")
        assert (await devices.assign(wanted)).device_ids == ("g0",)
        assert await RunYields(devices, jobs).ask(wanted) == ()
