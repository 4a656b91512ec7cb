"""What follows a training: the best checkpoint is evaluated and, by the run's policy, published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from services.cluster.errors import NotFound
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.runs import EvaluationRecord, EvaluationStatus, RunPhase
from services.finetune.checkpoints import Checkpoint
from services.finetune.evaluation.measures import is_better
from services.finetune.files import TEST, DatasetFile, read_files
from services.finetune.hold import RunHold
from services.finetune.journal import EventKind, Journal
from services.finetune.lineage import candidate_of
from services.finetune.messages import evaluation_message, to_json
from services.finetune.publishing import Candidate
from services.finetune.workshop import Workshop


class Conclusion:
    """Can be repeated by the next attempt: ids follow from run and checkpoint."""

    def __init__(
        self, hold: RunHold, payload: pb.RunJob, journal: Journal, workshop: Workshop
    ) -> None:
        self._hold = hold
        self._payload = payload
        self._journal = journal
        self._workshop = workshop
        self._publishing = workshop.publishing

    async def candidate(self, best: Checkpoint) -> Candidate:
        """Under the run's name, or one like it when that is taken."""
        wanted = candidate_of(best, self._payload, self._payload.spec.name)
        return await self._hold.patiently(lambda: self._publishing.renamed(wanted))

    async def evaluate(self, candidate: Candidate) -> EvaluationRecord | None:
        """None when there is nothing to compare on. Cancelled, it leaves nothing behind."""
        try:
            return await self._evaluate(candidate)
        except asyncio.CancelledError:
            if not self._hold.lost:
                await self._discard(candidate)
            raise

    async def decide(
        self, candidate: Candidate, evaluation: EvaluationRecord | None
    ) -> dict[str, Any]:
        """The job's result. Raises LeaseLost."""
        better = None
        if evaluation and evaluation.status is EvaluationStatus.SUCCEEDED:
            better = is_better(evaluation.verdict, evaluation.loss_difference)
        published = is_to_publish(self._payload.spec.publish_policy, better)
        await self._hold.confirm()
        self._hold.check()
        if published:
            await self._publish(candidate, better)
        else:
            await self._discard(candidate)
        return {
            "best_checkpoint_id": candidate.checkpoint.checkpoint_id,
            "evaluation_id": evaluation.evaluation_id if evaluation else "",
            "adapter_ids": [candidate.adapter_id] if published else [],
        }

    async def _discard(self, candidate: Candidate) -> None:
        await self._hold.patiently(lambda: self._publishing.discard(candidate, self._hold.job))

    async def _publish(self, candidate: Candidate, better: bool | None) -> None:
        hold = self._hold
        hold.tell_state(phase=RunPhase.PUBLISHING)
        adapter = await hold.patiently(
            lambda: self._publishing.publish(candidate, better, holder=hold.job)
        )
        deployments = await hold.patiently(lambda: self._publishing.serve(adapter))
        self._say(
            f"Published as {adapter.model}:{adapter.name}; wanted by"
            f" {', '.join(deployments) or 'no deployment'}."
        )

    async def _evaluate(self, candidate: Candidate) -> EvaluationRecord | None:
        """The one that a lost attempt has finished is taken as it is."""
        folder = self._workshop.datasets.folder(self._payload.spec.dataset_id)
        files = await asyncio.to_thread(read_files, folder / TEST)
        if not files:
            self._say("There is no test file, so nothing was compared.", "warning")
            return None
        hold, checkpoint = self._hold, candidate.checkpoint
        evaluation_id = f"{checkpoint.checkpoint_id}-evaluation"
        known = await self._known(evaluation_id)
        hold.tell_state(phase=RunPhase.EVALUATING, evaluation_id=evaluation_id)
        if known and known.status is EvaluationStatus.SUCCEEDED:
            return known
        record = EvaluationRecord(
            evaluation_id=evaluation_id,
            run_id=checkpoint.run_id,
            project_id=checkpoint.project_id,
            team_id=checkpoint.team_id,
            checkpoint_id=checkpoint.checkpoint_id,
            model=candidate.model,
            dataset_id=self._payload.spec.dataset_id,
            status=EvaluationStatus.RUNNING,
            created_at=time.time(),
        )
        await self._put(record)
        await self._publishing.make_artifact(candidate, self._hold.job)
        try:
            record = await self._compare(record, candidate, files)
        except asyncio.CancelledError:
            if not hold.lost:
                await self._put(
                    record.model_copy(
                        update={"status": EvaluationStatus.CANCELLED, "finished_at": time.time()}
                    )
                )
            raise
        await self._put(record)
        self._say(record.summary or f"The evaluation failed: {record.error}")
        return record

    async def _compare(
        self, record: EvaluationRecord, candidate: Candidate, files: Sequence[DatasetFile]
    ) -> EvaluationRecord:
        return await self._workshop.evaluator.evaluate(
            record,
            candidate.adapter_id,
            files,
            self._payload.spec.max_evaluation_cases,
            self._put,
            self._workshop.files.folder(record.run_id),
        )

    async def _known(self, evaluation_id: str) -> EvaluationRecord | None:
        try:
            return await self._hold.patiently(lambda: self._workshop.runs.evaluation(evaluation_id))
        except NotFound:
            return None

    async def _put(self, record: EvaluationRecord) -> None:
        await self._hold.patiently(
            lambda: self._workshop.runs.put_evaluation(self._hold.job, record)
        )
        self._journal.append(EventKind.EVALUATION, to_json(evaluation_message(record)))

    def _say(self, text: str, level: str = "info") -> None:
        line = pb.RunLogLine(level=level, text=text[:4096])
        self._journal.append(EventKind.LOG, to_json(line))


def is_to_publish(policy: pb.PublishPolicy.ValueType, better: bool | None) -> bool:
    if policy == pb.PUBLISH_POLICY_ALWAYS:
        return True
    return policy != pb.PUBLISH_POLICY_MANUAL and better is True
