"""Plain objects that several tests of the agent begin with."""

from __future__ import annotations

from services.cluster.devices.records import GIB, AssignmentRecord, DeviceRecord
from services.cluster.records import DeploymentRecord, ModelRecord, ReplicaPhase, ReplicaRecord
from services.inference.agent.reconcile import ReplicaSpec, replica_specs

MODEL = ModelRecord(
    name="some/model",
    origin="local",
    architecture="Qwen2ForCausalLM",
    num_parameters=1000,
    context_tokens=2048,
    weights_bytes=2000,
    kv_values_per_token=100,
)


def a_deployment(deployment_id: str = "d", **changes: object) -> DeploymentRecord:
    record = DeploymentRecord(
        deployment_id=deployment_id, model=MODEL.name, created_at=1.0, updated_at=1.0
    )
    return record.model_copy(update=changes)


def a_spec(deployment: DeploymentRecord | None = None, number: int = 0) -> ReplicaSpec:
    wanted = deployment or a_deployment(num_replicas=number + 1)
    return list(replica_specs([wanted], {MODEL.name: MODEL}).values())[number]


def an_assignment(
    spec: ReplicaSpec, host_id: str = "here", devices: tuple[str, ...] = ("g0",)
) -> AssignmentRecord:
    return AssignmentRecord(
        holder=spec.holder,
        host_id=host_id,
        device_ids=devices,
        device_bytes=spec.device_bytes,
        assigned_at=1.0,
    )


def a_device(name: str, host_id: str = "here", gib: float = 24, kind: str = "cuda") -> DeviceRecord:
    return DeviceRecord(
        device_id=name, host_id=host_id, kind=kind, name="device", total_bytes=int(gib * GIB)
    )


def a_replica(
    replica_id: str = "d-0", phase: ReplicaPhase = ReplicaPhase.READY, **changes: object
) -> ReplicaRecord:
    record = ReplicaRecord(
        replica_id=replica_id,
        deployment_id=replica_id.rpartition("-")[0],
        model=MODEL.name,
        engine="vllm",
        host_id="here",
        phase=phase,
        started_at=1.0,
    )
    return record.model_copy(update=changes)
