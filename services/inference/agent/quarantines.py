"""Ends the quarantines of this host, and the processes of lost holders that stand in the way."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence

from services.cluster.devices.assignments import Devices
from services.cluster.devices.fingerprint import Fingerprint, Fingerprints
from services.cluster.devices.labels import kill
from services.cluster.devices.quarantine import labelled, may_free, remaining
from services.cluster.devices.records import REPLICA_PREFIX, AssignmentRecord

log = logging.getLogger(__name__)

GRACE_SECONDS = 20.0  # that a lost holder has to end by itself; a replica drains as long
_MAX_REMEMBERED = 1000
_GONE_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 0.05


class Quarantines:
    """Kills only what has the label of the assignment that was lost."""

    def __init__(self, devices: Devices, grace_seconds: float = GRACE_SECONDS) -> None:
        self._devices = devices
        self._grace_seconds = grace_seconds
        self._since: dict[str, float] = {}
        self._lifted: deque[str] = deque(maxlen=_MAX_REMEMBERED)

    async def tend(
        self, quarantined: Sequence[AssignmentRecord], seen: Fingerprint, now: float
    ) -> None:
        """One pass. `seen` was taken after they were quarantined; `now` of a monotonic clock."""
        ids = {assignment.assignment_id for assignment in quarantined}
        self._since = {i: since for i, since in self._since.items() if i in ids}
        for assignment in quarantined:
            since = self._since.setdefault(assignment.assignment_id, now)
            if may_free(assignment, seen):
                await self._devices.lift(assignment)
                self._lifted.append(assignment.assignment_id)
                log.info("devices are free again", extra={"holder": assignment.first_holder})
            elif now - since >= self._grace_seconds and (left := remaining(assignment, seen)):
                pids = [process.pid for process in left]
                log.warning(
                    "processes of a lost holder are killed",
                    extra={"holder": assignment.first_holder, "pids": pids},
                )
                await asyncio.to_thread(kill, left)
        # A holder that slept through all of it may start something when it wakes.
        if awake := labelled(set(self._lifted), seen):
            log.warning("processes of a lost holder are killed", extra={"num": len(awake)})
            await asyncio.to_thread(kill, awake)


async def clear_predecessor(devices: Devices, host_id: str, fingerprints: Fingerprints) -> None:
    """What the replicas of this host's last agent left on devices, should they not have ended.

    Their assignments may be used again then; one whose processes cannot be ended is quarantined.
    """
    snapshot = await devices.host_snapshot(host_id)
    replicas = [a for a in snapshot.assignments if a.holder.startswith(REPLICA_PREFIX)]
    ids = {assignment.assignment_id for assignment in replicas}
    deadline = time.monotonic() + _GONE_SECONDS
    left = labelled(ids, await asyncio.to_thread(fingerprints.take))
    while left and time.monotonic() < deadline:
        await asyncio.to_thread(kill, left)
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)  # they are no children: nothing tells their end
        left = labelled(ids, await asyncio.to_thread(fingerprints.take))
    stuck = {process.assignment_id for process in left}
    for assignment in replicas:
        if assignment.assignment_id in stuck:
            log.warning("a replica cannot be ended", extra={"holder": assignment.holder})
            await devices.quarantine(assignment)
