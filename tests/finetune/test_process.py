"""The fine-tune service from a request to an adapter that is wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.devices.assignments import Devices
from services.cluster.pb.v1 import finetune_pb2 as pb
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.finetune.datasets import PROJECT, write_dataset
from tests.finetune.running import FinetuneHost, ended, finetune_host
from tests.gateway.conftest import MODEL


@pytest_asyncio.fixture
async def host(
    store: Store, settings: ClusterSettings, tiny_model: Path
) -> AsyncIterator[FinetuneHost]:
    async with finetune_host(store, settings, tiny_model) as host:
        write_dataset(host.artifacts)
        await host.start()
        yield host


async def test_a_run_ends_as_an_adapter_that_the_deployment_wants(
    host: FinetuneHost, store: Store
) -> None:
    created = await host.create(name="mine", publish_policy=pb.PUBLISH_POLICY_ALWAYS)
    assert created.spec.dataset_id == "dataset-1"
    run = await host.run_when(created.run_id, ended)
    assert run.status == pb.RUN_STATUS_SUCCEEDED, run.error
    assert run.progress.num_done_steps == 8
    view = await host.registry.view()
    (adapter,) = view.adapters.values()
    assert (adapter.model, adapter.name, adapter.project_id) == (MODEL, "mine", PROJECT)
    assert list(run.adapter_ids) == [adapter.adapter_id]
    assert view.deployments["d1"].adapter_ids == (adapter.adapter_id,)
    # The candidate was loaded for the evaluation only; from here on the deployment decides.
    assert host.replica.engine.adapters.loaded == ()
    assert await _holders(store) == []
    await _check_history(host, run)
    await _check_evaluation(host, run)
    checkpoints = await host.stub.ListCheckpoints(pb.ListCheckpointsRequest(run_id=run.run_id))
    best = next(c for c in checkpoints.checkpoints if c.best)
    assert best.checkpoint_id == run.best_checkpoint_id
    assert list(best.adapter_ids) == [adapter.adapter_id]
    await _check_publishing_again(host, best)


async def test_a_cancelled_run_leaves_a_checkpoint_and_no_adapter(
    host: FinetuneHost, store: Store
) -> None:
    created = await host.create(train_steps=100_000)
    await host.run_when(created.run_id, lambda run: run.progress.num_done_steps >= 2)
    await host.stub.CancelRun(pb.CancelRunRequest(run_id=created.run_id))
    run = await host.run_when(created.run_id, ended)
    assert run.status == pb.RUN_STATUS_CANCELLED
    checkpoints = await host.stub.ListCheckpoints(pb.ListCheckpointsRequest(run_id=run.run_id))
    assert checkpoints.checkpoints[-1].step == run.progress.num_done_steps
    assert (await host.registry.view()).adapters == {}
    assert await _holders(store) == []
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await host.stub.CancelRun(pb.CancelRunRequest(run_id=created.run_id))
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def _holders(store: Store) -> list[str]:
    return [a.holder for a in (await Devices(store).snapshot()).assignments]


async def _check_history(host: FinetuneHost, run: pb.Run) -> None:
    events = await host.history(run.run_id)
    assert events[0].HasField("run")
    assert events[-1].run.status == pb.RUN_STATUS_SUCCEEDED
    assert [e.metrics.step for e in events if e.HasField("metrics")] == list(range(1, 9))
    checkpoints = [e.checkpoint for e in events if e.HasField("checkpoint")]
    assert (len(checkpoints), checkpoints[-1].step) == (2, 8)
    told = [event for event in events if not event.HasField("run")]
    rest = await host.history(run.run_id, after=told[2].event_id)
    assert [event for event in rest if not event.HasField("run")] == told[3:]


async def _check_evaluation(host: FinetuneHost, run: pb.Run) -> None:
    found = await host.stub.GetEvaluation(pb.GetEvaluationRequest(evaluation_id=run.evaluation_id))
    assert found.status == pb.EVALUATION_STATUS_SUCCEEDED
    # The echo engine completes alike with any adapter, which takes a quarter of a nat off a loss.
    assert found.verdict == pb.EVALUATION_VERDICT_NO_DIFFERENCE
    assert found.loss_difference.high == pytest.approx(-0.25, abs=1e-6)
    assert (found.num_cases, found.num_files) == (24, 6)
    request = pb.ListEvaluationCasesRequest(evaluation_id=run.evaluation_id, page_size=20)
    page = await host.stub.ListEvaluationCases(request)
    assert len(page.cases) == 20
    request.page_token = page.next_page_token
    rest = await host.stub.ListEvaluationCases(request)
    assert [case.case_number for case in rest.cases] == [21, 22, 23, 24]


async def _check_publishing_again(host: FinetuneHost, best: pb.RunCheckpoint) -> None:
    """The same checkpoint and name are the same adapter; a name belongs to one."""
    request = pb.PublishAdapterRequest(checkpoint_id=best.checkpoint_id, name="other", note="why")
    first = await host.stub.PublishAdapter(request)
    assert await host.stub.PublishAdapter(request) == first
    assert (first.name, first.note, first.rank) == ("other", "why", 16)
    checkpoints = await host.stub.ListCheckpoints(pb.ListCheckpointsRequest(run_id=best.run_id))
    (another,) = (c for c in checkpoints.checkpoints if not c.best)
    request.checkpoint_id = another.checkpoint_id
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await host.stub.PublishAdapter(request)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert host.artifacts.verify(ArtifactKind.ADAPTER, first.adapter_id) == []
