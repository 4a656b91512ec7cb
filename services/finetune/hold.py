"""A worker's hold of a run: beside the job's record it keeps the run's state up to date."""

from __future__ import annotations

from services.cluster.jobs.hold import Hold
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobProgress, JobRecord
from services.cluster.runs import Runs, RunState


class RunHold(Hold):
    """`state` is written within a second of its change."""

    def __init__(self, queue: JobQueue, runs: Runs, job: JobRecord, state: RunState) -> None:
        super().__init__(queue, job)
        self.state = state
        self._runs = runs
        self._written: RunState | None = None

    def tell_state(self, **changes: object) -> None:
        """Changes what others see of the run."""
        self.state = self.state.model_copy(update=changes)
        self.tell(_progress(self.state, self.job))

    async def write(self) -> None:
        """Raises LeaseLost."""
        state = self.state
        if state != self._written:
            await self.noting_loss(self._runs.put_state(self.job, state))
            self._written = state
        await super().write()


def _progress(state: RunState, job: JobRecord) -> JobProgress:
    num_total = int(job.payload["plan"]["parameters"]["trainSteps"])
    return JobProgress(
        fraction=min(state.num_done_steps / num_total, 1.0),
        num_done=state.num_done_steps,
        num_total=num_total,
        remaining_seconds=remaining_seconds(state, num_total),
        message=state.detail[:500],
    )


def remaining_seconds(state: RunState, num_total_steps: int) -> float | None:
    """Of training, as fast as it went so far; None while unknown."""
    if not state.num_done_steps or not state.trained_seconds:
        return None
    left = num_total_steps - state.num_done_steps
    return left * state.trained_seconds / state.num_done_steps
