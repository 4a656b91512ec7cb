"""What a trainer says, as the curves, the log, the state and the checkpoints of its run."""

from __future__ import annotations

import asyncio
import logging

from services.cluster.artifacts.fences import Fence
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.runs import RunPhase
from services.finetune.checkpoints import Checkpoint, Checkpoints, best_of, superfluous
from services.finetune.hold import RunHold
from services.finetune.journal import EventKind, Journal
from services.finetune.messages import checkpoint_message, metrics_message, to_json
from services.finetune.trainer.messages import (
    CheckpointWritten,
    Ended,
    Failed,
    Said,
    Started,
    StepDone,
    TrainerMessage,
)

log = logging.getLogger(__name__)


class Progress:
    """`ended` and `failed` are the trainer's last word, if it had one."""

    def __init__(
        self, hold: RunHold, payload: pb.RunJob, journal: Journal, checkpoints: Checkpoints
    ) -> None:
        self._hold = hold
        self._payload = payload
        self._journal = journal
        self._checkpoints = checkpoints
        self._step = 0
        self.ended: Ended | None = None
        self.failed = ""

    async def take(self, message: TrainerMessage) -> None:
        """Raises LeaseLost: a worker that has slept must not write into the next one's journal."""
        await self._hold.ensure()
        match message:
            case Started():
                self._hold.tell_state(phase=RunPhase.TRAINING, num_done_steps=message.step)
                self._say(
                    "info",
                    f"Attempt {self._hold.job.attempt} trains {message.num_trainable} parameters"
                    f" from step {message.step}; {message.num_test_sequences} test sequences.",
                )
            case StepDone():
                self._step_done(message)
            case CheckpointWritten():
                await self._checkpoint(message)
            case Said():
                self._say(message.level, message.text)
            case Ended():
                self._say("info", f"Training ends after step {message.step}. {message.reason}")
                self.ended = message
                if not message.stopped:
                    self._hold.resume = {**(self._hold.resume or {}), "trained_step": message.step}
            case Failed():
                self._say("error", message.reason)
                self.failed = message.reason

    def _say(self, level: str, text: str) -> None:
        line = pb.RunLogLine(level=level, text=text[:4096])
        self._journal.append(EventKind.LOG, to_json(line))
        log.info("trainer says", extra={"text": text})

    def _step_done(self, done: StepDone) -> None:
        self._step = done.step
        metrics = metrics_message(done, self._hold.job.attempt)
        self._journal.append(EventKind.METRICS, to_json(metrics))
        state = self._hold.state
        losses = [x for x in (state.best_test_loss, done.test_loss) if x is not None]
        self._hold.tell_state(
            num_done_steps=done.step,
            num_epochs=done.num_epochs,
            train_loss=done.train_loss,
            test_loss=done.test_loss if done.test_loss is not None else state.test_loss,
            best_test_loss=min(losses) if losses else None,
            tokens_per_second=done.tokens_per_second,
            peak_device_bytes=done.peak_device_bytes,
            trained_seconds=done.trained_seconds,
        )

    async def _checkpoint(self, written: CheckpointWritten) -> None:
        """Its manifest is the proof that it is complete; the job's record then says so too."""
        hold = self._hold
        await hold.confirm()
        checkpoint = await asyncio.to_thread(
            self._checkpoints.publish,
            written,
            hold.job.job_id,
            hold.job.attempt,
            project_id=self._payload.project_id,
            team_id=self._payload.team_id,
            guard=hold.guard,
            fence=Fence(hold.job.job_id, hold.job.token),
        )
        hold.resume = {"checkpoint_id": checkpoint.checkpoint_id, "step": checkpoint.step}
        hold.look()
        known = await asyncio.to_thread(self._checkpoints.of_run, hold.job.job_id)
        is_best = best_of(known) == checkpoint
        message = checkpoint_message(checkpoint, best=is_best)
        self._journal.append(EventKind.CHECKPOINT, to_json(message))
        await asyncio.to_thread(self._prune, known)

    def _prune(self, known: list[Checkpoint]) -> None:
        num_kept = self._payload.plan.parameters.num_kept_checkpoints
        for checkpoint in superfluous(known, num_kept, ()):
            self._checkpoints.delete(checkpoint.checkpoint_id)
