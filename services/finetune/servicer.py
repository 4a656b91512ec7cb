"""The Finetune service: translate, call, translate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NoReturn

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, Unimplemented
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.pb.v1 import finetune_pb2_grpc as rpc
from services.cluster.runs import Runs
from services.finetune.evaluation.evaluator import CASES_FILE, read_cases
from services.finetune.messages import (
    case_message,
    evaluation_message,
    timestamp,
    to_status,
)
from services.finetune.paging import page
from services.finetune.parameters import parameter_message
from services.finetune.plan import Planner
from services.finetune.requests import RunRequests
from services.finetune.run_files import RunFiles
from services.finetune.watching import watch_run


class FinetuneServicer(rpc.FinetuneServicer):
    def __init__(
        self,
        requests: RunRequests,
        planner: Planner,
        runs: Runs,
        files: RunFiles,
        artifacts: ArtifactStore,
    ) -> None:
        self._requests = requests
        self._planner = planner
        self._runs = runs
        self._files = files
        self._artifacts = artifacts

    async def ListParameters(
        self, request: pb.ListParametersRequest, context: object
    ) -> pb.ListParametersResponse:
        found = await self._planner.parameters(request.model)
        return pb.ListParametersResponse(parameters=[parameter_message(p) for p in found])

    async def PlanRun(self, request: pb.PlanRunRequest, context: object) -> pb.RunPlan:
        return (await self._planner.plan(request.spec)).plan

    async def CreateRun(self, request: pb.CreateRunRequest, context: object) -> pb.Run:
        job = await self._requests.create(request.spec, request.idempotency_key)
        return await self._requests.message(job)

    async def ListRuns(self, request: pb.ListRunsRequest, context: object) -> pb.ListRunsResponse:
        start, size = page(request.page_size, request.page_token)
        statuses = [to_status(number) for number in request.statuses]
        if None in statuses:
            raise BadRequest("statuses must be statuses of runs.", param="statuses")
        known = [status for status in statuses if status is not None]
        jobs, more = await self._requests.page(request.project_id, known, start, size)
        return pb.ListRunsResponse(
            runs=[await self._requests.message(job) for job in jobs],
            next_page_token=str(start + size) if more else "",
        )

    async def GetRun(self, request: pb.GetRunRequest, context: object) -> pb.Run:
        return await self._requests.message(await self._requests.job(request.run_id))

    async def WatchRun(
        self, request: pb.WatchRunRequest, context: object
    ) -> AsyncIterator[pb.RunEvent]:
        async for event in watch_run(request, self._requests, self._files):
            yield event

    async def CancelRun(self, request: pb.CancelRunRequest, context: object) -> pb.Run:
        job = await self._requests.cancel(request.run_id)
        return await self._requests.message(job)

    async def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, context: object
    ) -> pb.ListCheckpointsResponse:
        start, size = page(request.page_size, request.page_token)
        found = await self._requests.checkpoints(request.run_id)
        return pb.ListCheckpointsResponse(
            checkpoints=found[start : start + size],
            next_page_token=str(start + size) if start + size < len(found) else "",
        )

    async def GetEvaluation(
        self, request: pb.GetEvaluationRequest, context: object
    ) -> pb.Evaluation:
        return evaluation_message(await self._runs.evaluation(request.evaluation_id))

    async def ListEvaluationCases(
        self, request: pb.ListEvaluationCasesRequest, context: object
    ) -> pb.ListEvaluationCasesResponse:
        start, size = page(request.page_size, request.page_token)
        record = await self._runs.evaluation(request.evaluation_id)
        if request.guard:
            return pb.ListEvaluationCasesResponse()  # a run compares on its own files only
        place = self._files.folder(record.run_id) / CASES_FILE
        cases, more = await asyncio.to_thread(read_cases, place, start, size)
        return pb.ListEvaluationCasesResponse(
            cases=[case_message(number, case) for number, case in enumerate(cases, start + 1)],
            next_page_token=str(start + size) if more else "",
        )

    async def PublishAdapter(
        self, request: pb.PublishAdapterRequest, context: object
    ) -> pb.AdapterSummary:
        record, checkpoint, payload, evaluation = await self._requests.publish(
            request.checkpoint_id, request.name, request.note, tuple(request.tags)
        )
        manifest = await asyncio.to_thread(
            self._artifacts.manifest, ArtifactKind.ADAPTER, record.adapter_id
        )
        return pb.AdapterSummary(
            schema_version=1,
            adapter_id=record.adapter_id,
            project_id=record.project_id,
            team_id=record.team_id,
            name=record.name,
            model=record.model,
            model_revision=payload.model_revision,
            rank=record.rank,
            size_bytes=sum(file.size_bytes for file in manifest.files),
            run_id=checkpoint.run_id,
            checkpoint_id=checkpoint.checkpoint_id,
            dataset_id=payload.spec.dataset_id,
            parameters=payload.plan.parameters,
            code_version=(await self._runs.state(checkpoint.run_id)).code_version,
            evaluation=evaluation_message(evaluation) if evaluation else None,
            note=request.note,
            tags=request.tags,
            created_at=timestamp(record.created_at),
        )

    async def ResumeRun(self, request: pb.ResumeRunRequest, context: object) -> NoReturn:
        _absent("An ended run cannot be resumed yet; create it again with the same spec.")

    async def RenameRun(self, request: pb.RenameRunRequest, context: object) -> NoReturn:
        _absent("Runs cannot be renamed yet; publish the checkpoint under the name you want.")

    async def DeleteRun(self, request: pb.DeleteRunRequest, context: object) -> NoReturn:
        _absent("Runs cannot be deleted yet.")

    async def Evaluate(self, request: pb.EvaluateRequest, context: object) -> NoReturn:
        _absent("Only a run evaluates yet: its best checkpoint, when it has trained.")

    def Export(self, request: pb.ExportRequest, context: object) -> NoReturn:
        _absent("Adapters cannot be exported yet; they lie in the data volume under adapters/.")

    async def Import(
        self, requests: AsyncIterator[pb.ImportRequest], context: object
    ) -> pb.AdapterSummary:
        _absent("Upload an adapter made elsewhere to /api/v1/adapters of the gateway.")


def _absent(sentence: str) -> NoReturn:
    raise Unimplemented(sentence)
