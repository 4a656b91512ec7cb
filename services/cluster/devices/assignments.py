"""Which process may use which device. `assign` is the only way to get one.

An index in Redis finds the host that fits best; a pure policy chooses devices there; one script
writes the assignment, and refuses when the host is not any more as it was read, and then it is
looked again. So two callers never get the same bytes, and nothing is over-committed.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from services.cluster.devices import readings, scripts
from services.cluster.devices.policy import fit, refusal
from services.cluster.devices.records import (
    KINDS,
    MAX_DEVICES,
    AssignmentRecord,
    AssignmentRequest,
    DeviceRecord,
    DeviceSnapshot,
)
from services.cluster.errors import BadRequest, DevicesUnavailable, LeaseLost, Overloaded
from services.cluster.metrics import FENCED_WRITES
from services.cluster.records import readable
from services.cluster.store.connection import Store

SEEN_SECONDS = 30.0  # after a fingerprint, of Redis' clock
ELSEWHERE_SECONDS = 600.0  # after which a lost host's replicas may be placed on another one
FORGET_SECONDS = 86400.0
_NUM_TRIES = 200  # one of those who meet at a host succeeds each time
# Who met another looks at worse places too: the best ones are often devices of the same host.
_SPREAD = 32
_MOST_PASSED_OVER = 1024
_NUM_TOLD_HOSTS = 8
_NOT_HEARD_OF = "its host was not heard of for a while"

_HOST_DEVICES = TypeAdapter(list[DeviceRecord])


@dataclass(frozen=True)
class _Host:
    """What is known of a host, as the scripts show it."""

    host_id: str
    live: bool
    version: str
    devices: tuple[DeviceRecord, ...]
    assignments: tuple[AssignmentRecord, ...]

    @classmethod
    def read(cls, shown: Sequence[Any]) -> _Host:
        host_id, live, version, devices, assignments = shown
        return cls(
            str(host_id),
            bool(live),
            str(version),
            tuple(_HOST_DEVICES.validate_json(devices)),
            tuple(readable(AssignmentRecord, assignments)),
        )


class Devices:
    """Every method raises StoreUnavailable while Redis is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def publish(
        self, host_id: str, devices: Sequence[DeviceRecord], seen_seconds: float = SEEN_SECONDS
    ) -> None:
        """Replaces what is known of a host's devices; without any, the host leaves the cluster.

        Nothing is assigned of a host that did not publish again within `seen_seconds`.
        """
        text = _HOST_DEVICES.dump_json(list(devices)).decode()
        shape = json.dumps([(d.device_id, d.kind, d.total_bytes, d.healthy) for d in devices])
        await self._store.run(scripts.PUBLISH, [], [host_id, text, shape, seen_seconds])

    async def snapshot(self) -> DeviceSnapshot:
        """Of the whole cluster: for people and plans, not for the path of an assignment."""
        return await self._shown("")

    async def host_snapshot(self, host_id: str) -> DeviceSnapshot:
        return await self._shown(host_id)

    async def held(self, holders: Sequence[str]) -> list[AssignmentRecord]:
        """The assignments of those that have one, on whatever host."""
        return readable(AssignmentRecord, await self._store.run(readings.HELD_BY, [], holders))

    async def has_gpus(self) -> bool:
        """Whether any host has one, also one that is not heard of and may return."""
        return bool(await self._store.run(readings.HAS_KIND, [], ["cuda"]))

    async def assign(self, request: AssignmentRequest) -> AssignmentRecord:
        """Assigns devices, or answers what the holder has already.

        What an older attempt of the same job has is put in quarantine and not handed on. Raises
        DevicesUnavailable when there is no room, LeaseLost when the job does not run under the
        token, BadRequest for a request that no host could ever meet.
        """
        if not 1 <= request.num_devices <= MAX_DEVICES:
            raise BadRequest(
                f"A holder takes 1 to {MAX_DEVICES} devices of one host, not"
                f" {request.num_devices}.",
                param="num_devices",
            )
        if request.device_bytes < 0:
            raise BadRequest("device_bytes must not be negative.", param="device_bytes")
        assignment_id = secrets.token_hex(6)
        spread = 1
        for _ in range(_NUM_TRIES):
            said, found = await self._look(request, random.randrange(spread))
            if said == "held":
                return AssignmentRecord.model_validate_json(found)
            if said == "none":
                await self._refuse(request)
                continue
            host = _Host.read(found)
            chosen = fit(_snapshot(0, [host]), request)
            if chosen is None:  # the host that was named has no room, or has just gone
                await self._refuse(request)
                continue
            record = _record(assignment_id, request, chosen)
            answer = await self._write(request, host.version, record)
            if answer:
                return answer
            spread = min(spread * _SPREAD, _MOST_PASSED_OVER)
        raise Overloaded(
            f"Devices changed {_NUM_TRIES} times while {request.holder} was being placed.",
            retry_after_seconds=1,
        )

    async def release(self, holder: str, *, job_id: str = "", token: int = 0) -> bool:
        """False when the holder had none. The caller has made sure that its processes are gone.

        Raises LeaseLost when the assignment is that of a job which runs, but not of the caller:
        under another token, or the caller named none. What a job that has ended left is put in
        quarantine, from which the host's agent frees it.
        """
        answer = await self._store.run(
            scripts.RELEASE, [], [holder, job_id, str(token), secrets.token_hex(8)]
        )
        if int(answer) < 0:
            raise _lost(holder, job_id)
        return bool(answer)

    async def quarantine_lost(self, host_id: str) -> list[AssignmentRecord]:
        """Takes the devices of jobs that lost their lease; every quarantine of the host then."""
        found = await self._store.run(scripts.QUARANTINE, [], [host_id, ""])
        return readable(AssignmentRecord, found)

    async def quarantine(self, assignment: AssignmentRecord) -> None:
        """Takes devices whose holder is lost, though it is no job."""
        await self._store.run(
            scripts.QUARANTINE, [], [assignment.host_id, assignment.assignment_id]
        )

    async def lift(self, assignment: AssignmentRecord) -> None:
        """Ends a quarantine. Only the host's agent knows when that may be."""
        await self._store.run(scripts.LIFT, [], [assignment.host_id, assignment.assignment_id])

    async def sweep(
        self,
        elsewhere_seconds: float = ELSEWHERE_SECONDS,
        forget_seconds: float = FORGET_SECONDS,
    ) -> None:
        """Hosts that do not return: what was on them may be placed elsewhere; later, forgets them.

        What they held stays in quarantine until then, so that a host that does return finds out
        first whether anybody is still on its devices.
        """
        await self._store.run(scripts.SWEEP, [], [elsewhere_seconds, forget_seconds])

    async def _look(self, request: AssignmentRequest, pass_over: int) -> tuple[str, Any]:
        said, *found = await self._store.run(
            readings.LOOK,
            [],
            [
                request.holder,
                request.job_id,
                str(request.token),
                json.dumps(_kinds(request)),
                request.num_devices,
                str(request.device_bytes),
                request.host_id or "",
                pass_over,
            ],
        )
        if said == "lost":
            raise _lost(request.holder, request.job_id)
        return str(said), found[0] if found else None

    async def _write(
        self, request: AssignmentRequest, version: str, record: AssignmentRecord
    ) -> AssignmentRecord | None:
        """None when the host has changed since."""
        said, *found = await self._store.run(
            scripts.ASSIGN,
            [],
            [
                request.holder,
                record.host_id,
                version,
                record.model_dump_json(),
                request.job_id,
                str(request.token),
            ],
        )
        if said == "lost":
            raise _lost(request.holder, request.job_id)
        return AssignmentRecord.model_validate_json(found[0]) if found else None

    async def _refuse(self, request: AssignmentRequest) -> None:
        """Raises DevicesUnavailable, unless there is room meanwhile."""
        shown, num_more = await self._store.run(
            readings.NEAREST,
            [],
            [json.dumps(_kinds(request)), request.host_id or "", _NUM_TOLD_HOSTS],
        )
        snapshot = _snapshot(0, map(_Host.read, shown))
        if fit(snapshot, request) is None:
            raise DevicesUnavailable(refusal(snapshot, request, int(num_more)))

    async def _shown(self, host_id: str) -> DeviceSnapshot:
        version, shown = await self._store.run(readings.SHOW, [], [host_id])
        return _snapshot(int(version), map(_Host.read, shown))


def _snapshot(version: int, hosts: Iterable[_Host]) -> DeviceSnapshot:
    devices: list[DeviceRecord] = []
    assignments: list[AssignmentRecord] = []
    for host in hosts:
        missed = {} if host.live else {"healthy": False, "detail": _NOT_HEARD_OF}
        devices += [device.model_copy(update=missed) for device in host.devices]
        assignments += host.assignments
    return DeviceSnapshot(
        version,
        tuple(sorted(devices, key=lambda device: device.device_id)),
        tuple(sorted(assignments, key=lambda assignment: assignment.record_id)),
    )


def _kinds(request: AssignmentRequest) -> list[str]:
    return [request.kind] if request.kind else list(KINDS)


def _record(
    assignment_id: str, request: AssignmentRequest, chosen: Sequence[DeviceRecord]
) -> AssignmentRecord:
    """`assigned_at` is the script's to say."""
    strangers = {
        process.identity
        for device in chosen
        for process in device.processes or ()
        if not process.assignment_id
    }
    return AssignmentRecord(
        assignment_id=assignment_id,
        holder=request.holder,
        host_id=chosen[0].host_id,
        device_ids=tuple(device.device_id for device in chosen),
        device_bytes=request.device_bytes,
        assigned_at=0.0,
        job_id=request.job_id,
        token=request.token,
        strangers=tuple(sorted(strangers)),
    )


def _lost(holder: str, job_id: str) -> LeaseLost:
    FENCED_WRITES.labels("device").inc()
    if job_id:
        return LeaseLost(
            f"Job {job_id} does not run under the token that {holder} shows; nothing was written."
        )
    return LeaseLost(
        f"The devices of {holder} belong to a running job, which must name itself and its token."
    )
