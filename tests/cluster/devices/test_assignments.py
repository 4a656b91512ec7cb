from __future__ import annotations

import asyncio

import pytest

from services.cluster.devices import scripts
from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import (
    GIB,
    AssignmentRecord,
    AssignmentRequest,
    DeviceProcess,
)
from services.cluster.errors import BadRequest, DevicesUnavailable, LeaseLost
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from tests.cluster.devices.index import check_index
from tests.cluster.devices.specs import a_device, set_job

RUN = AssignmentRequest("run/r", job_id="r", token=1)


async def pass_time(store: Store, host: str = "h1") -> None:
    """As if the host had not been heard of for half a minute."""
    await store.redis.zadd(Keys.HOST_BEATS, {host: 1.0}, xx=True)


@pytest.mark.parametrize("num_gpus", [1, 2, 4, 8])
async def test_concurrent_requests_never_share_what_is_exclusive(
    store: Store, num_gpus: int
) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device(f"g{n}") for n in range(num_gpus)])
    asked = [devices.assign(AssignmentRequest(holder=f"replica/{n}")) for n in range(12)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    got = [answer for answer in answers if isinstance(answer, AssignmentRecord)]
    refused = [answer for answer in answers if isinstance(answer, DevicesUnavailable)]
    assert (len(got), len(refused)) == (num_gpus, 12 - num_gpus)
    assert len({device for record in got for device in record.device_ids}) == num_gpus


async def test_asking_again_answers_what_the_holder_has(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0"), a_device("g1")])
    first = await devices.assign(AssignmentRequest(holder="replica/a"))
    assert await devices.assign(AssignmentRequest(holder="replica/a")) == first
    assert await devices.release("replica/a")
    assert not await devices.release("replica/a")
    assert (await devices.snapshot()).assignments == ()


async def test_a_refusal_says_what_is_needed_what_is_free_and_who_holds_the_rest(
    store: Store,
) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0", gib=24)])
    await devices.assign(AssignmentRequest(holder="replica/a", device_bytes=20 * GIB))
    with pytest.raises(DevicesUnavailable) as refusal:
        await devices.assign(AssignmentRequest(holder="run/b", device_bytes=10 * GIB))
    message = refusal.value.message
    assert "run/b needs 1 device(s) of one host, 10.0 GiB each" in message
    assert "4.0 of 24.0 GiB free" in message
    assert "replica/a (20.0 GiB)" in message


async def test_a_refusal_of_a_large_cluster_stays_short(store: Store) -> None:
    devices = Devices(store)
    for number in range(40):
        host = f"h{number}"
        await devices.publish(host, [a_device(f"{host}-g{n}", host, 8) for n in range(8)])
    with pytest.raises(DevicesUnavailable) as refusal:
        await devices.assign(AssignmentRequest(holder="run/b", device_bytes=10 * GIB))
    assert "Nor have 32 more hosts the room." in refusal.value.message
    assert len(refusal.value.message) < 1000


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (AssignmentRequest("a", num_devices=0), "1 to 16"),
        (AssignmentRequest("a", num_devices=17), "1 to 16"),
        (AssignmentRequest("a", device_bytes=-1), "negative"),
    ],
)
async def test_what_no_host_could_ever_meet_is_a_bad_request(
    store: Store, request_: AssignmentRequest, word: str
) -> None:
    with pytest.raises(BadRequest, match=word):
        await Devices(store).assign(request_)


async def test_the_fullest_device_that_fits_is_taken_of_all_hosts(store: Store) -> None:
    devices = Devices(store)
    for host in ("h1", "h2", "h3"):
        await devices.publish(host, [a_device(f"{host}-g0", host), a_device(f"{host}-g1", host)])
    first = await devices.assign(AssignmentRequest("replica/a", device_bytes=10 * GIB))
    for number in range(2):
        more = AssignmentRequest(f"replica/b{number}", device_bytes=7 * GIB)
        assert (await devices.assign(more)).device_ids == first.device_ids
    pair = await devices.assign(AssignmentRequest("replica/c", 2, 20 * GIB))
    assert pair.host_id != first.host_id


async def test_a_host_that_is_not_heard_of_is_not_assigned_from(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    kept = await devices.assign(AssignmentRequest("replica/a", device_bytes=GIB))
    await pass_time(store)
    with pytest.raises(DevicesUnavailable, match="not heard of"):
        await devices.assign(AssignmentRequest("replica/b", device_bytes=GIB))
    with pytest.raises(DevicesUnavailable, match="not heard of"):
        await devices.assign(AssignmentRequest("replica/b", device_bytes=GIB, host_id="h1"))
    assert (await devices.snapshot()).assignments == (kept,)
    await devices.publish("h1", [a_device("g0")])
    assert await devices.assign(AssignmentRequest("replica/b", device_bytes=GIB))
    await check_index(store, devices)


async def test_a_gone_host_is_swept_after_its_holders(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    await devices.publish("h2", [a_device("g1", "h2")])
    await set_job(store, "r", "running", 1)
    await devices.assign(AssignmentRequest("run/r", 1, GIB, host_id="h1", job_id="r", token=1))
    await devices.assign(AssignmentRequest("replica/a", 1, GIB, host_id="h1"))
    await pass_time(store)
    await devices.snapshot()
    await devices.sweep(elsewhere_seconds=0)
    held = {a.holder for a in (await devices.snapshot()).assignments}
    assert held == {"run/r", "quarantine/replica/a"}
    assert (await devices.assign(AssignmentRequest("replica/a", 1, GIB))).host_id == "h2"
    await devices.sweep(elsewhere_seconds=0, forget_seconds=-1)
    snapshot = await devices.snapshot()
    assert {d.host_id for d in snapshot.devices} == {"h2"}
    assert [a.holder for a in snapshot.assignments] == ["replica/a"]
    assert [k async for k in store.redis.scan_iter(match="*h1*")] == []
    await check_index(store, devices)


async def test_a_host_that_leaves_is_forgotten_with_its_last_assignment(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    await devices.assign(AssignmentRequest("replica/a"))
    await devices.publish("h1", [])
    assert [a.holder for a in (await devices.snapshot()).assignments] == ["replica/a"]
    await devices.release("replica/a")
    await devices.sweep(elsewhere_seconds=0)
    assert [k async for k in store.redis.scan_iter(match="*h1*")] == []
    assert await store.redis.zcard(Keys.HOSTS_GONE) == 0


async def test_a_job_that_does_not_run_gets_and_releases_nothing(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    with pytest.raises(LeaseLost, match="Job r does not run under the token"):
        await devices.assign(RUN)
    await set_job(store, "r", "running", 1)
    held = await devices.assign(RUN)
    assert (held.job_id, held.token) == ("r", 1)
    await set_job(store, "r", "queued", 1)
    with pytest.raises(LeaseLost):
        await devices.release("run/r", job_id="r", token=1)
    assert (await devices.snapshot()).assignments == (held,)


async def test_an_older_attempts_devices_are_never_handed_to_a_newer_one(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0"), a_device("g1")])
    await set_job(store, "r", "running", 1)
    first = await devices.assign(RUN)
    await set_job(store, "r", "running", 2)
    newer = AssignmentRequest("run/r", job_id="r", token=2)
    second = await devices.assign(newer)
    assert second.assignment_id != first.assignment_id
    assert second.device_ids != first.device_ids
    old = next(a for a in (await devices.snapshot()).assignments if a.quarantined)
    assert (old.assignment_id, old.first_holder) == (first.assignment_id, "run/r")
    with pytest.raises(DevicesUnavailable, match=r"run/r \(all, in quarantine until"):
        await devices.assign(AssignmentRequest("replica/a"))
    assert await devices.release("run/r", job_id="r", token=2)
    assert [a.assignment_id for a in (await devices.snapshot()).assignments] == [
        first.assignment_id
    ]


async def test_who_names_no_job_frees_nothing_of_one(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    await set_job(store, "r", "running", 1)
    await devices.assign(RUN)
    with pytest.raises(LeaseLost, match="belong to a running job"):
        await devices.release("run/r")
    with pytest.raises(LeaseLost, match="belong to a running job"):
        await devices.assign(AssignmentRequest("run/r"))
    await set_job(store, "r", "failed", 1)
    assert await devices.release("run/r")  # its processes may live: the agent has to look
    assert [a.quarantined for a in (await devices.snapshot()).assignments] == [True]


async def test_lost_jobs_are_found_and_their_devices_kept(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0"), a_device("g1")])
    await set_job(store, "r", "running", 1)
    held = await devices.assign(RUN)
    await devices.assign(AssignmentRequest("replica/a"))
    assert await devices.quarantine_lost("h1") == []
    await set_job(store, "r", "queued", 1)
    found = await devices.quarantine_lost("h1")
    assert [a.assignment_id for a in found] == [held.assignment_id]
    assert await devices.quarantine_lost("h1") == found
    await devices.lift(found[0])
    assert [a.holder for a in (await devices.snapshot()).assignments] == ["replica/a"]
    await check_index(store, devices)


async def test_what_a_host_has_no_more_is_not_in_the_index(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0"), a_device("g1"), a_device("g2")])
    await devices.publish("h1", [a_device("g0")])
    await check_index(store, devices)
    with pytest.raises(DevicesUnavailable):
        await devices.assign(AssignmentRequest("replica/a", 2))
    await devices.publish("h1", [a_device("cpu-h1", kind="cpu")])
    await check_index(store, devices)
    assert not await devices.has_gpus()


async def test_a_cluster_has_the_gpus_of_a_host_that_may_return(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("head", [a_device("cpu-head", kind="cpu")])
    assert not await devices.has_gpus()
    await devices.publish("h1", [a_device("g0")], seen_seconds=0)
    with pytest.raises(DevicesUnavailable):
        await devices.assign(AssignmentRequest("replica/a", kind="cuda"))
    assert await devices.has_gpus(), "else what waits for it would go to the head's processors"
    await devices.publish("h1", [])
    assert not await devices.has_gpus()


async def test_only_a_quarantine_can_be_lifted(store: Store) -> None:
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    held = await devices.assign(AssignmentRequest("replica/a"))
    await devices.lift(held)
    assert (await devices.snapshot()).assignments == (held,)
    await devices.quarantine(held)
    await devices.lift(held)
    assert (await devices.snapshot()).assignments == ()


async def test_strangers_are_those_without_a_label_that_were_there(store: Store) -> None:
    devices = Devices(store)
    on = (
        DeviceProcess(pid=7, started=5),
        DeviceProcess(pid=8, started=6, assignment_id="x", holder="replica/x"),
    )
    await devices.publish("h1", [a_device("g0").model_copy(update={"processes": on})])
    held = await devices.assign(AssignmentRequest("replica/a", device_bytes=GIB))
    assert held.strangers == ("7:5",)


async def test_every_script_answers_its_repetition_as_before(store: Store) -> None:
    """The client sends a script again, with the same arguments, when its answer was late."""
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    record = (
        '{"assignment_id": "x", "holder": "replica/a", "host_id": "h1", "device_ids": ["g0"],'
        ' "device_bytes": 0, "assigned_at": 0.0}'
    )
    version = await store.redis.hget(Keys.HOST_DEVICES.format("h1"), "version")
    calls: list[tuple[str, list[str | int]]] = [
        (scripts.ASSIGN, ["replica/a", "h1", str(version), record, "", "0"]),
        (scripts.QUARANTINE, ["h1", ""]),
        (scripts.RELEASE, ["replica/a", "", "0", "name-of-this-release"]),
        (scripts.PUBLISH, ["h1", "[]", "[]", 30]),
        (scripts.SWEEP, [0, 0]),
    ]
    for script, arguments in calls:
        first = await store.run(script, [], arguments)
        assert await store.run(script, [], arguments) == first
    assert (await devices.snapshot()).devices == ()


async def test_what_a_host_shows_anew_does_not_disturb_those_who_are_placed(store: Store) -> None:
    """Its version is that of sizes and health: temperatures change with every look."""
    devices = Devices(store)
    await devices.publish("h1", [a_device("g0")])
    before = (await devices.snapshot()).version
    warm = a_device("g0").model_copy(update={"temperature": 70.0})
    await devices.publish("h1", [warm])
    snapshot = await devices.host_snapshot("h1")
    assert (snapshot.version, snapshot.devices) == (before, (warm,))
