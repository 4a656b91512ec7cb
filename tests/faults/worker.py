"""`python -m tests.faults.worker DATA_DIR HOLDER`: a worker of the product's parts, to be killed.

Its work is N steps, each with a checkpoint, and one result. It says on stdout, one JSON object a
line, which stage it enters, and stops at the gates that it was given until it reads a line. So a
test meets it exactly there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.cluster import log
from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.manifest import ArtifactKind, Manifest
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import LeaseLost, StoreUnavailable
from services.cluster.jobs.hold import Hold, Interrupted
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobKind, JobProgress, JobRecord
from services.cluster.jobs.sweeper import Sweeper
from services.cluster.jobs.worker import Worker
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store

KIND = JobKind.RUN
CHECKPOINT, RESULT = ArtifactKind.CHECKPOINT, ArtifactKind.ADAPTER
_true_time = time.time


class Stage(StrEnum):
    """In the order that a worker enters them; the two last ones are not on its way."""

    READY = "ready"
    CLAIMED = "claimed"
    FENCED = "fenced"
    STEP_BEFORE_PUBLISH = "step-before-publish"  # the fence is all that is still to pass
    STEP_PUBLISHED = "step-published"  # Redis does not know yet
    RESULT_BEFORE_PUBLISH = "result-before-publish"  # the same; the lease was just confirmed
    RESULT_PUBLISHED = "result-published"
    BEFORE_FINISH = "before-finish"  # nobody renews the lease any more
    FINISHED = "finished"
    REFUSED = "refused"
    AWAY = "away"  # a heartbeat met a Redis that did not answer


class Telling:
    """What the process says, and where it waits for the word to go on."""

    def __init__(self, gates: set[str], gate_step: int) -> None:
        self._gates = gates
        self._gate_step = gate_step

    def say(self, stage: Stage, **details: Any) -> None:
        line = {"stage": stage, "at": time.time(), **details}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def reach(self, stage: Stage, step: int = 0, **details: Any) -> None:
        """Blocks at the gate. Each gate is met once."""
        gated = stage in self._gates and step in (0, self._gate_step)
        self.say(stage, step=step, gated=gated, **details)
        if gated:
            self._gates.discard(stage)
            word = sys.stdin.readline()
            if not word:
                os._exit(1)  # whoever held the gate has gone
            move_clock(json.loads(word)["clock_ahead_seconds"])

    async def reached(self, stage: Stage, step: int = 0, **details: Any) -> None:
        """The same, and the event loop goes on meanwhile: the lease is renewed."""
        await asyncio.to_thread(self.reach, stage, step, **details)


class ToldQueue(JobQueue):
    """Says when a job is about to be finished and when it was."""

    def __init__(self, store: Store, lease_seconds: float, telling: Telling) -> None:
        super().__init__(store, lease_seconds)
        self._telling = telling

    async def heartbeat(
        self,
        job: JobRecord,
        progress: JobProgress | None = None,
        resume: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return await super().heartbeat(job, progress, resume)
        except StoreUnavailable as error:
            self._telling.say(Stage.AWAY, job_id=job.job_id, reason=error.message)
            raise

    async def succeed(self, job: JobRecord, result: Mapping[str, Any]) -> None:
        told: dict[str, Any] = {"job_id": job.job_id, "attempt": job.attempt}
        await self._telling.reached(Stage.BEFORE_FINISH, **told)
        try:
            await super().succeed(job, result)
        except LeaseLost as error:
            self._telling.say(Stage.REFUSED, **told, reason=error.message)
            raise
        await self._telling.reached(Stage.FINISHED, **told)


class Work:
    """What one attempt does; everything that it leaves behind carries its fencing token."""

    def __init__(self, artifacts: ArtifactStore, telling: Telling, step_seconds: float) -> None:
        self._artifacts = artifacts
        self._telling = telling
        self._step_seconds = step_seconds

    async def __call__(self, hold: Hold) -> Mapping[str, Any]:
        job = hold.job
        told: dict[str, Any] = {"job_id": job.job_id, "attempt": job.attempt}
        try:
            await self._telling.reached(Stage.CLAIMED, **told)
            fence = Fence(job.job_id, job.token)
            await asyncio.to_thread(self._artifacts.fences.raise_to, fence.name, fence.token)
            await self._telling.reached(Stage.FENCED, **told)
            # Nobody of an older token publishes from here on, so what is not there will not come.
            if job.job_id in self._artifacts.ids(RESULT):
                result = self._artifacts.manifest(RESULT, job.job_id)
                return {"artifact_id": result.artifact_id, "digest": result.digest}
            steps = await self._steps(hold, fence)
            await hold.confirm()
            stage, after = Stage.RESULT_BEFORE_PUBLISH, Stage.RESULT_PUBLISHED
            result = await self._publish(hold, fence, RESULT, job.job_id, steps, stage)
            await self._telling.reached(after, **told, digest=result.digest)
        except (LeaseLost, Interrupted) as error:
            self._telling.say(Stage.REFUSED, **told, reason=str(error))
            raise
        return {"artifact_id": result.artifact_id, "digest": result.digest}

    async def _steps(self, hold: Hold, fence: Fence) -> list[list[int]]:
        """[step, attempt that did it] of each; those of earlier attempts are kept."""
        job = hold.job
        steps = last_checkpoint(self._artifacts, job.job_id)
        while len(steps) < job.payload["num_steps"]:
            await hold.unless_interrupted(asyncio.sleep(self._step_seconds))
            step = len(steps) + 1
            steps.append([step, job.attempt])
            checkpoint_id = f"{job.job_id}-{step:04d}-attempt-{job.attempt}"
            stage = Stage.STEP_BEFORE_PUBLISH
            await self._publish(hold, fence, CHECKPOINT, checkpoint_id, steps, stage)
            hold.resume = {"checkpoint_id": checkpoint_id}
            num_steps = job.payload["num_steps"]
            hold.tell(JobProgress(fraction=step / num_steps, num_done=step, num_total=num_steps))
            told: dict[str, Any] = {"job_id": job.job_id, "attempt": job.attempt}
            await self._telling.reached(Stage.STEP_PUBLISHED, step, **told)
        return steps

    async def _publish(
        self,
        hold: Hold,
        fence: Fence,
        kind: ArtifactKind,
        artifact_id: str,
        steps: list[list[int]],
        stage: Stage,
    ) -> Manifest:
        job = hold.job

        def guard() -> None:
            if kind is RESULT:  # checkpoints go on while Redis is away: the fence is on the volume
                hold.guard()
            told: dict[str, Any] = {"job_id": job.job_id, "attempt": job.attempt}
            self._telling.reach(stage, len(steps) if kind is CHECKPOINT else 0, **told)

        def publish() -> Manifest:
            with self._artifacts.draft(kind, artifact_id) as draft:
                draft.file("steps.json").write_text(json.dumps(steps))
                # No two attempts make the same: a second result would be a conflict.
                draft.file("attempt").write_text(f"{job.attempt} {os.getpid()}")
                return draft.publish({"job_id": job.job_id}, guard=guard, fence=fence)

        return await asyncio.to_thread(publish)


def last_checkpoint(artifacts: ArtifactStore, job_id: str) -> list[list[int]]:
    """What the store has, not what Redis was told: a worker may be killed between the two."""
    found = [name for name in artifacts.ids(CHECKPOINT) if name.startswith(f"{job_id}-")]
    return steps_of(artifacts, CHECKPOINT, found[-1]) if found else []


def steps_of(artifacts: ArtifactStore, kind: ArtifactKind, artifact_id: str) -> list[list[int]]:
    steps: list[list[int]] = json.loads(
        (artifacts.path(kind, artifact_id) / "steps.json").read_text()
    )
    return steps


def move_clock(ahead_seconds: float) -> None:
    """What this process reads from time.time(), as if its host's clock had been set wrong."""
    time.time = lambda: _true_time() + ahead_seconds


async def main(arguments: argparse.Namespace) -> None:
    settings = ClusterSettings(data_dir=arguments.data_dir, redis_url=arguments.redis_url)
    log.configure(arguments.holder, settings)
    store = await Store.connect(settings.redis_url)
    telling = Telling(set(arguments.gates), arguments.gate_step)
    queue = ToldQueue(store, arguments.lease_seconds, telling)
    work = Work(ArtifactStore(settings.data_dir), telling, arguments.step_seconds)

    async def hold_of(job: JobRecord) -> Hold:
        return Hold(queue, job)

    worker = Worker(queue, KIND, hold_of, work, arguments.holder)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Sweeper(queue, KIND).run())
        await telling.reached(Stage.READY)  # at its gate it sweeps, and claims nothing
        tasks.create_task(worker.run())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.worker")
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("redis_url")
    parser.add_argument("holder")
    parser.add_argument("--lease-seconds", type=float, required=True)
    parser.add_argument("--step-seconds", type=float, default=0.05)
    parser.add_argument("--gates", nargs="*", default=[], choices=list(Stage))
    parser.add_argument("--gate-step", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_arguments()))
