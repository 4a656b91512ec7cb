from __future__ import annotations

from services.cluster.records import DeploymentPhase, ProcessRecord
from services.cluster.registry import ClusterView, Registry
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from services.inference.agent.phase_writer import PhaseWriter
from tests.inference.agent.specs import a_deployment, a_replica


def processes(*names: str, service: str = "inference") -> ClusterView:
    return ClusterView(
        processes={
            name: ProcessRecord(process_id=name, service=service, host_id=name, started_at=1.0)
            for name in names
        }
    )


async def test_one_agent_leads(store: Store) -> None:
    writer = PhaseWriter(Registry(store), "inference-b")
    assert writer.leads(processes("inference-b", "inference-c"))
    assert not writer.leads(processes("inference-a", "inference-b"))
    assert not writer.leads(processes())
    assert not writer.leads(processes("inference-b", service="gateway"))


async def test_only_what_has_changed_is_written(store: Store) -> None:
    registry = Registry(store)
    await registry.put_deployment(a_deployment())
    stale = (await registry.view()).deployments
    # Somebody wants something else meanwhile: that must stay.
    await registry.put_deployment(a_deployment(num_replicas=1, context_tokens=512))
    writer = PhaseWriter(registry, "inference-a")
    await writer.write(stale, {"d-0": a_replica()}, {})
    written = (await registry.view()).deployments
    assert written["d"].phase is DeploymentPhase.READY
    assert written["d"].context_tokens == 512
    num_changes = await store.redis.xlen(Keys.CHANGES)
    await writer.write(written, {"d-0": a_replica()}, {})
    assert await store.redis.xlen(Keys.CHANGES) == num_changes


async def test_a_deployment_that_was_deleted_meanwhile_stays_deleted(store: Store) -> None:
    registry = Registry(store)
    await PhaseWriter(registry, "inference-a").write(
        {"d": a_deployment()}, {"d-0": a_replica()}, {}
    )
    assert (await registry.view()).deployments == {}
