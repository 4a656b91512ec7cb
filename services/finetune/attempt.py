"""One attempt of a run: devices, training in a child, evaluation, publication."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from services.cluster import VERSION
from services.cluster.devices.assignments import Devices
from services.cluster.devices.records import AssignmentRecord, AssignmentRequest, DeviceSnapshot
from services.cluster.devices.room import yielding_replicas
from services.cluster.errors import (
    BadRequest,
    Conflict,
    DevicesUnavailable,
    Overloaded,
    StoreUnavailable,
)
from services.cluster.jobs.hold import Interrupted
from services.cluster.jobs.worker import TryAgain
from services.cluster.runs import RunPhase
from services.cluster.tasks import end
from services.finetune.bases import revision_of
from services.finetune.checkpoints import Checkpoint, best_of
from services.finetune.conclusion import Conclusion
from services.finetune.hold import RunHold
from services.finetune.journal import Journal
from services.finetune.messages import payload_of
from services.finetune.orders import training_order
from services.finetune.plan import device_kind, request_for
from services.finetune.progress import Progress
from services.finetune.trainer.messages import TrainingOrder
from services.finetune.trainer_process import (
    TrainerProcess,
    describe_end,
    trainer_environment,
)
from services.finetune.workshop import Workshop

HOLDER_PREFIX = "run/"
_ASK_AGAIN_SECONDS = 2.0


class Attempt:
    def __init__(self, hold: RunHold, workshop: Workshop) -> None:
        self._hold = hold
        self._workshop = workshop
        self._payload = payload_of(hold.job)
        self._run_id = hold.job.job_id
        self._journal = Journal(workshop.files.folder(self._run_id))

    async def run(self) -> dict[str, Any]:
        """The job's result. Raises what a worker expects of its work."""
        hold, workshop = self._hold, self._workshop
        hold.tell_state(
            attempt=hold.job.attempt,
            code_version=VERSION,
            started_at=hold.state.started_at or hold.job.started_at,
            detail="",
            device_ids=(),
        )
        checkpoints = await asyncio.to_thread(workshop.checkpoints.of_run, self._run_id)
        newest = max(checkpoints, key=lambda checkpoint: checkpoint.step, default=None)
        if not self._is_trained(newest):
            assignment = await self._devices()
            try:
                await self._train(assignment, newest)
            finally:
                if not hold.lost:  # else they are in quarantine until the trainer is gone
                    await hold.patiently(self._release)
                hold.tell_state(device_ids=())
        checkpoints = await asyncio.to_thread(workshop.checkpoints.of_run, self._run_id)
        best = best_of(checkpoints)
        if best is None:
            raise Conflict("The training has left no checkpoint.")
        conclusion = Conclusion(hold, self._payload, self._journal, workshop)
        candidate = await conclusion.candidate(best)
        evaluation = await self._hold.unless_interrupted(conclusion.evaluate(candidate))
        return await conclusion.decide(candidate, evaluation)

    @property
    def _holder(self) -> str:
        return f"{HOLDER_PREFIX}{self._run_id}"

    def _is_trained(self, newest: Checkpoint | None) -> bool:
        """The last word of an attempt that was lost after training, or its last step."""
        if newest is None:
            return False
        trained_step = (self._hold.resume or {}).get("trained_step", 0)
        return newest.step in (trained_step, self._payload.plan.parameters.train_steps)

    async def _devices(self) -> AssignmentRecord:
        """Waits until they are free, and says who holds them."""
        hold, devices = self._hold, self._workshop.devices
        host_id = self._workshop.settings.host_id
        hold.tell_state(phase=RunPhase.WAITING_FOR_DEVICES)
        try:
            return await self._assigned(devices, host_id)
        except Interrupted:
            if self._payload.spec.make_room:
                with contextlib.suppress(StoreUnavailable):  # then it is forgotten a little later
                    await self._workshop.rooms.withdraw(self._holder)
            raise

    async def _assigned(self, devices: Devices, host_id: str) -> AssignmentRecord:
        hold = self._hold
        while True:
            snapshot = await hold.patiently(lambda: devices.host_snapshot(host_id))
            kind = device_kind(snapshot, host_id)
            device_bytes = self._payload.plan.memory.total_bytes
            request = replace(
                request_for(self._holder, kind, device_bytes, host_id),
                job_id=hold.job.job_id,
                token=hold.job.token,
            )
            try:
                assignment = await hold.patiently(partial(devices.assign, request))
            except (DevicesUnavailable, Overloaded) as refusal:
                hold.tell_state(detail=refusal.message)
                if self._payload.spec.make_room:
                    await hold.patiently(partial(self._ask_for_room, snapshot, request))
            else:
                hold.tell_state(detail="", device_ids=assignment.device_ids)
                return assignment
            await self._hold.unless_interrupted(asyncio.sleep(_ASK_AGAIN_SECONDS))

    async def _ask_for_room(self, snapshot: DeviceSnapshot, request: AssignmentRequest) -> None:
        workshop = self._workshop
        yielding = yielding_replicas((await workshop.registry.view()).deployments.values())
        asked = await workshop.rooms.ask(snapshot, request, yielding)
        if asked and asked.holders:
            names = ", ".join(asked.holders)
            self._hold.tell_state(detail=f"It waits until {names} has made room.")

    async def _release(self) -> None:
        """Its trainer has ended. Who made room for it comes back."""
        job = self._hold.job
        await self._workshop.devices.release(self._holder, job_id=job.job_id, token=job.token)

    async def _train(self, assignment: AssignmentRecord, newest: Checkpoint | None) -> None:
        hold, workshop = self._hold, self._workshop
        hold.tell_state(
            phase=RunPhase.PREPARING,
            resumed_from_checkpoint_id=newest.checkpoint_id if newest else "",
        )
        snapshot = await hold.patiently(workshop.devices.snapshot)
        kind = device_kind(snapshot, assignment.host_id)
        folder = await asyncio.to_thread(
            workshop.files.begin_attempt, self._run_id, hold.job.attempt
        )
        order = await self._order(kind, folder, newest)
        environment = trainer_environment(
            workshop.environment, kind, assignment, workshop.settings.trainer_threads
        )
        process = await TrainerProcess.start(order, environment, folder)
        stopping = asyncio.create_task(self._stop_when_interrupted(process), name="stop-trainer")
        progress = Progress(hold, self._payload, self._journal, workshop.checkpoints)
        try:
            async for message in process.messages():
                await progress.take(message)
            status = await process.wait()
        finally:
            await end(stopping)
            await process.kill()
        if progress.failed:
            raise BadRequest(progress.failed)
        if hold.interrupted.is_set():
            raise Interrupted
        if progress.ended is None:
            said = process.last_words()
            raise TryAgain(
                f"The trainer did not finish: {describe_end(status)}.{f' {said}' if said else ''}"
            )

    async def _order(self, kind: str, folder: Path, newest: Checkpoint | None) -> TrainingOrder:
        """Raises Conflict when the base is not the one that the run was created for."""
        workshop, spec = self._workshop, self._payload.spec
        model = await self._hold.patiently(lambda: workshop.bases.get(spec.model))
        if await revision_of(model) != self._payload.model_revision:
            raise Conflict(
                f"The weights of {spec.model} are not those that the run was created for; create a"
                " new run."
            )
        size = await workshop.datasets.size(spec.dataset_id, Path(model.local_path))
        return training_order(
            self._payload,
            model_folder=Path(model.local_path),
            dataset_folder=workshop.datasets.folder(spec.dataset_id),
            output_folder=folder,
            resume_folder=(workshop.checkpoints.folder(newest.checkpoint_id) if newest else None),
            device_kind=kind,
            num_threads=workshop.settings.trainer_threads,
            num_test_tokens=size.num_test_tokens,
        )

    async def _stop_when_interrupted(self, process: TrainerProcess) -> None:
        await self._hold.interrupted.wait()
        if not self._hold.lost:
            process.ask_to_stop()
            await asyncio.sleep(self._workshop.settings.trainer_stop_seconds)
        await process.kill()
