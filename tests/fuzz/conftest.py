"""What is asked: a gateway with doubles behind it that starts at once, and a whole cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.cluster.errors import NotFound
from services.cluster.pb.v1 import finetune_pb2 as run_pb
from services.cluster.pb.v1 import inference_pb2 as agent_pb
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.e2e.running import Cluster, start, stop, wait_until_started
from tests.gateway.conftest import Gateway, deployment, echo_replica, gateway_settings, serving
from tests.gateway.services import Double, FinetuneDouble, Watch, behind, real_datascan
from tests.inference.weights.hub_double import hub_double


class AgentDouble(Double):
    """Has no replicas and no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.answers["ListModels"] = agent_pb.ListModelsResponse()

    async def ReadReplicaLog(self, request: object, context: object) -> AsyncIterator[object]:
        async for nothing in self._refused():
            yield nothing

    async def DownloadWeights(self, request: object, context: object) -> AsyncIterator[object]:
        async for nothing in self._refused():
            yield nothing

    async def _refused(self) -> AsyncIterator[object]:
        async for nothing in Watch(None, NotFound("There is nothing here.")).told(None):
            yield nothing


@pytest_asyncio.fixture
async def gateway(
    store: Store, settings: ClusterSettings, tmp_path: Path
) -> AsyncIterator[Gateway]:
    registry, inference, finetune = Registry(store), AgentDouble(), FinetuneDouble()
    finetune.watches.refusal = NotFound("There is no run here.")
    finetune.answers["ListParameters"] = run_pb.ListParametersResponse()
    finetune.answers["ListRuns"] = run_pb.ListRunsResponse()
    await registry.put_deployment(deployment())
    async with (
        echo_replica(settings, registry, "r1", tmp_path),
        serving(gateway_settings(settings), store) as gateway,
        behind(gateway, "datascan", real_datascan(gateway, store, settings).servicer),
        behind(gateway, "inference", inference),
        behind(gateway, "finetune", finetune),
    ):
        yield gateway


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A whole one with the starter model on vLLM; its hub of models is a double."""
    with hub_double() as hub:
        cluster = start(tmp_path_factory.mktemp("data"), HEARTH_HUB_URL=hub.url)
        try:
            wait_until_started(cluster)
            yield cluster
        finally:
            stop(cluster)
