"""Asks runs to give devices back for serving that finds none: people wait for it, not for a run."""

from __future__ import annotations

import contextlib

from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import AssignmentRequest
from services.cluster.devices.room import yielding_runs
from services.cluster.errors import NotFound
from services.cluster.jobs.queue import JobQueue


class RunYields:
    """A run writes a checkpoint first, and goes on when its devices are free again."""

    def __init__(self, devices: Devices, jobs: JobQueue) -> None:
        self._devices = devices
        self._jobs = jobs

    async def ask(self, request: AssignmentRequest) -> tuple[str, ...]:
        """The runs that were asked; none when the request would not fit without them either."""
        snapshot = await self._devices.snapshot()
        runs = [a.holder for a in snapshot.assignments if a.job_id and not a.quarantined]
        asked = []
        for assignment in yielding_runs(snapshot, request, runs):
            with contextlib.suppress(NotFound):
                if await self._jobs.ask_to_yield(
                    assignment.job_id, f"{request.holder} needs its devices."
                ):
                    asked.append(assignment.job_id)
        return tuple(asked)
