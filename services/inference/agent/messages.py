"""Records as protobuf messages, and what is wanted the other way round."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from services.cluster.devices.records import DeviceRecord, DeviceSnapshot
from services.cluster.errors import BadRequest
from services.cluster.pb.v1 import inference_pb2 as pb
from services.cluster.records import (
    AdapterPolicy,
    DeploymentPhase,
    DeploymentRecord,
    ModelRecord,
    ReplicaRecord,
)
from services.cluster.registry import ClusterView
from services.inference.agent.deployment_plan import DeploymentPlan
from services.inference.models.overrides import ModelOverrides
from services.inference.weights.downloads import WeightsState, WeightsStatus

_PHASES = {
    DeploymentPhase.PENDING: pb.DEPLOYMENT_PHASE_PENDING,
    DeploymentPhase.STARTING: pb.DEPLOYMENT_PHASE_STARTING,
    DeploymentPhase.READY: pb.DEPLOYMENT_PHASE_READY,
    DeploymentPhase.DEGRADED: pb.DEPLOYMENT_PHASE_DEGRADED,
    DeploymentPhase.FAILED: pb.DEPLOYMENT_PHASE_FAILED,
}
_POLICIES = {
    AdapterPolicy.OFF: pb.ADAPTER_POLICY_OFF,
    AdapterPolicy.LATEST_BEST: pb.ADAPTER_POLICY_LATEST_BEST,
    AdapterPolicy.NAMED: pb.ADAPTER_POLICY_NAMED,
}
_WEIGHTS_STATES = {
    WeightsState.ABSENT: pb.WEIGHTS_STATE_ABSENT,
    WeightsState.DOWNLOADING: pb.WEIGHTS_STATE_DOWNLOADING,
    WeightsState.PRESENT: pb.WEIGHTS_STATE_PRESENT,
    WeightsState.FAILED: pb.WEIGHTS_STATE_FAILED,
}
_POLICIES_BY_NUMBER = {
    pb.ADAPTER_POLICY_UNSPECIFIED: AdapterPolicy.LATEST_BEST,
    **{number: policy for policy, number in _POLICIES.items()},
}


def timestamp(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromMicroseconds(int(seconds * 1e6))
    return moment


def deployment_record(message: pb.Deployment) -> DeploymentRecord:
    """The first half of the message; what is not set has its default. Raises BadRequest."""
    if message.adapter_policy not in _POLICIES_BY_NUMBER:
        raise BadRequest(
            f"adapter_policy must be {', '.join(AdapterPolicy)}, not number"
            f" {message.adapter_policy}.",
            param="adapter_policy",
        )
    return DeploymentRecord(
        deployment_id=message.deployment_id,
        team_id=message.team_id,
        project_id=message.project_id,
        model=message.model,
        engine=message.engine or "vllm",
        num_replicas=message.num_replicas or 1,
        devices_per_replica=message.devices_per_replica or 1,
        device_bytes=message.device_bytes,
        context_tokens=message.context_tokens,
        kv_cache_bytes=message.kv_cache_bytes,
        max_running_requests=message.max_running_requests,
        quantization=message.quantization,
        speculative_tokens=message.speculative_tokens,
        adapter_policy=_POLICIES_BY_NUMBER[message.adapter_policy],
        default_adapter_id=message.default_adapter_id,
        adapter_ids=tuple(dict.fromkeys(message.adapter_ids)),
        yields_to_runs=message.yields_to_runs,
        created_at=0.0,
        updated_at=0.0,
    )


def deployment_message(record: DeploymentRecord, view: ClusterView) -> pb.Deployment:
    return pb.Deployment(
        schema_version=record.schema_version,
        deployment_id=record.deployment_id,
        team_id=record.team_id,
        project_id=record.project_id,
        model=record.model,
        engine=record.engine,
        num_replicas=record.num_replicas,
        devices_per_replica=record.devices_per_replica,
        device_bytes=record.device_bytes,
        context_tokens=record.context_tokens,
        kv_cache_bytes=record.kv_cache_bytes,
        max_running_requests=record.max_running_requests,
        quantization=record.quantization,
        speculative_tokens=record.speculative_tokens,
        adapter_policy=_POLICIES[record.adapter_policy],
        default_adapter_id=record.default_adapter_id,
        adapter_ids=record.adapter_ids,
        yields_to_runs=record.yields_to_runs,
        created_at=timestamp(record.created_at),
        updated_at=timestamp(record.updated_at),
        phase=_PHASES[record.phase],
        detail=record.detail,
        replicas=[
            _replica_message(replica)
            for replica in view.replicas.values()
            if replica.deployment_id == record.deployment_id
        ],
    )


def deployments_message(view: ClusterView) -> pb.ListDeploymentsResponse:
    """Oldest first."""
    records = sorted(view.deployments.values(), key=lambda d: (d.created_at, d.deployment_id))
    return pb.ListDeploymentsResponse(
        deployments=[deployment_message(record, view) for record in records]
    )


def _replica_message(replica: ReplicaRecord) -> pb.DeploymentReplica:
    return pb.DeploymentReplica(
        replica_id=replica.replica_id,
        host_id=replica.host_id,
        phase=replica.phase.value,
        detail=replica.detail,
        device_ids=replica.device_ids,
        loaded_adapter_ids=replica.loaded_adapter_ids,
        started_at=timestamp(replica.started_at),
    )


def plan_message(plan: DeploymentPlan) -> pb.DeploymentPlan:
    return pb.DeploymentPlan(
        fits=not plan.refusal,
        replicas=[
            pb.PlannedReplica(
                host_id=assignment.host_id,
                device_ids=assignment.device_ids,
                device_bytes=assignment.device_bytes,
            )
            for assignment in plan.placed
        ],
        refusal=plan.refusal,
        weights_bytes=plan.memory.weights_bytes,
        kv_cache_bytes=plan.memory.kv_cache_bytes,
        overhead_bytes=plan.memory.overhead_bytes,
        least_bytes=plan.memory.least_bytes,
        tensor_parallel=plan.sharding.tensor_parallel,
        pipeline_parallel=plan.sharding.pipeline_parallel,
        sharding_reason=plan.sharding_reason,
        device_counts=plan.device_counts,
        num_contexts=plan.num_contexts,
        max_context_tokens=plan.max_context_tokens,
        usable_bytes=plan.usable_bytes,
        advice=plan.advice,
    )


def weights_message(record: ModelRecord, status: WeightsStatus) -> pb.Weights:
    return pb.Weights(
        model=record.name,
        state=_WEIGHTS_STATES[status.state],
        present_bytes=status.present_bytes,
        total_bytes=status.total_bytes,
        detail=status.detail,
        remaining_seconds=status.remaining_seconds,
        bytes_per_second=status.bytes_per_second,
    )


def progress_message(record: ModelRecord, status: WeightsStatus) -> pb.WeightsProgress:
    return pb.WeightsProgress(
        model=record.name,
        present_bytes=status.present_bytes,
        total_bytes=status.total_bytes,
        remaining_seconds=status.remaining_seconds,
        file=status.file,
        bytes_per_second=status.bytes_per_second,
        detail=status.detail,
    )


def model_message(record: ModelRecord, status: WeightsStatus) -> pb.Model:
    """`status` is of the weights on this host."""
    message = pb.Model(
        schema_version=record.schema_version,
        name=record.name,
        revision=record.revision,
        architecture=record.architecture,
        num_parameters=record.num_parameters,
        context_tokens=record.context_tokens,
        weights_bytes=record.weights_bytes,
        fill_in_the_middle_family=record.fim_family,
        capabilities=pb.ModelCapabilities(
            completion=record.supports_completion,
            chat=record.supports_chat,
            embeddings=record.supports_embeddings,
            finetune=record.supports_finetune,
            tools=record.supports_tools,
            reasoning=record.supports_reasoning,
            toolbox=record.supports_toolbox,
            images=record.supports_images,
        ),
        licence=record.licence,
        weights=weights_message(record, status),
        commit=record.commit,
        kind=record.origin,
        gated=record.gated,
        num_active_parameters=record.num_active_parameters,
        quantization=record.quantization,
        num_layers=record.num_layers,
        num_heads=record.num_heads,
        num_kv_heads=record.num_kv_heads,
        kv_values_per_token=record.kv_values_per_token,
        embedding_size=record.embedding_size,
        tool_parser=record.tool_parser,
        reasoning_parser=record.reasoning_parser,
        host_id=record.host_id,
    )
    if record.hub_id:
        message.hub_id = record.hub_id
    else:
        message.local_path = record.local_path
    return message


def model_overrides(message: pb.ModelOverrides) -> ModelOverrides:
    return ModelOverrides(
        context_tokens=message.context_tokens,
        fim_family=message.fill_in_the_middle_family,
        chat_template=message.chat_template,
        tool_parser=message.tool_parser,
        reasoning_parser=message.reasoning_parser,
    )


def devices_message(snapshot: DeviceSnapshot) -> pb.ListDevicesResponse:
    return pb.ListDevicesResponse(
        devices=[_device_message(device, snapshot) for device in snapshot.devices]
    )


def _device_message(device: DeviceRecord, snapshot: DeviceSnapshot) -> pb.Device:
    holders: Iterable[pb.DeviceAssignment] = (
        pb.DeviceAssignment(
            holder=assignment.holder,
            device_bytes=assignment.device_bytes,
            assigned_at=timestamp(assignment.assigned_at),
        )
        for assignment in snapshot.holders(device)
    )
    return pb.Device(
        device_id=device.device_id,
        host_id=device.host_id,
        kind=device.kind,
        name=device.name,
        total_bytes=device.total_bytes,
        used_bytes=device.used_bytes,
        temperature=device.temperature,
        healthy=device.healthy,
        detail=device.detail,
        assignments=holders,
        seen_at=timestamp(device.seen_at),
    )
