"""What /api/v1 says: the records of the cluster as a page or script sees them.

Times are unix seconds, 0 for never.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict

from services.cluster import VERSION
from services.cluster.devices.records import DeviceSnapshot
from services.cluster.identity import Scope, SessionRecord, TokenRecord, UserRecord
from services.cluster.records import (
    AdapterRecord,
    DeploymentRecord,
    ModelRecord,
    ProcessRecord,
    ReplicaRecord,
)
from services.cluster.registry import ClusterView

CLUSTER_NAME = "Hearth"


class View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UserView(View):
    user_id: str
    name: str
    role: str
    team_id: str


class SessionView(View):
    """`csrf_token` goes into the header X-CSRF-Token of every request that changes something."""

    user: UserView
    csrf_token: str
    expires_at: float

    @classmethod
    def of(cls, session: SessionRecord, user: UserRecord) -> SessionView:
        return cls(
            user=UserView.model_validate(user),
            csrf_token=session.csrf_token,
            expires_at=session.expires_at,
        )


class TokenView(View):
    """Never the token itself."""

    token_id: str
    user_id: str
    name: str
    scopes: list[Scope]
    created_at: float
    expires_at: float

    @classmethod
    def of(cls, record: TokenRecord) -> TokenView:
        return cls.model_validate(record)


class CreatedToken(TokenView):
    """`token` is shown this once."""

    token: str


class ReplicaView(View):
    replica_id: str
    deployment_id: str
    model: str
    engine: str
    engine_version: str
    host_id: str
    phase: str
    detail: str
    device_ids: list[str]
    loaded_adapter_ids: list[str]
    context_tokens: int
    num_running: int
    num_waiting: int
    supports_chat: bool
    started_at: float

    @classmethod
    def of(cls, record: ReplicaRecord) -> ReplicaView:
        return cls.model_validate(record)


class DeploymentView(View):
    deployment_id: str
    team_id: str
    model: str
    engine: str
    num_replicas: int
    devices_per_replica: int
    device_bytes: int
    context_tokens: int
    kv_cache_bytes: int
    max_running_requests: int
    quantization: str
    speculative_tokens: int
    yields_to_runs: bool
    adapter_policy: str
    default_adapter_id: str
    adapter_ids: list[str]
    phase: str
    detail: str
    created_at: float
    updated_at: float
    replicas: list[ReplicaView] = []

    @classmethod
    def of(cls, record: DeploymentRecord, view: ClusterView) -> DeploymentView:
        mine = [r for r in view.replicas.values() if r.deployment_id == record.deployment_id]
        found = cls.model_validate(record)
        return found.model_copy(update={"replicas": [ReplicaView.of(r) for r in mine]})


class AssignmentView(View):
    """`device_bytes` 0: the whole device."""

    holder: str
    device_bytes: int
    assigned_at: float


class DeviceView(View):
    device_id: str
    host_id: str
    kind: str
    name: str
    total_bytes: int
    used_bytes: int
    temperature: float | None
    healthy: bool
    detail: str
    assignments: list[AssignmentView] = []


class ModelView(View):
    """`origin`: starter, catalogue (known and not added yet), local, hub or upload."""

    name: str
    origin: str
    hub_id: str
    revision: str
    commit: str
    gated: bool
    architecture: str
    num_parameters: int
    num_active_parameters: int
    context_tokens: int
    weights_bytes: int
    quantization: str
    num_layers: int
    num_heads: int
    num_kv_heads: int
    kv_values_per_token: int
    embedding_size: int
    fim_family: str
    tool_parser: str
    reasoning_parser: str
    supports_completion: bool
    supports_chat: bool
    supports_toolbox: bool
    supports_embeddings: bool
    supports_finetune: bool
    supports_tools: bool
    supports_reasoning: bool
    supports_images: bool
    licence: str
    host_id: str

    @classmethod
    def of(cls, record: ModelRecord) -> ModelView:
        return cls.model_validate(record)


class AdapterView(View):
    """`better_than_base` is null until it was evaluated."""

    adapter_id: str
    model: str
    name: str
    team_id: str
    project_id: str
    rank: int
    created_at: float
    better_than_base: bool | None

    @classmethod
    def of(cls, record: AdapterRecord) -> AdapterView:
        return cls.model_validate(record)


class ProcessView(View):
    process_id: str
    service: str
    host_id: str
    status: str
    detail: str
    version: str
    pid: int
    started_at: float

    @classmethod
    def of(cls, record: ProcessRecord) -> ProcessView:
        return cls.model_validate(record)


class ClusterState(View):
    """Everything that runs, at one moment."""

    name: str = CLUSTER_NAME
    version: str = VERSION
    caps_version: int
    deployments: list[DeploymentView]
    devices: list[DeviceView]
    models: list[ModelView]
    adapters: list[AdapterView]
    processes: list[ProcessView]

    @classmethod
    def of(cls, view: ClusterView, devices: DeviceSnapshot) -> ClusterState:
        return cls(
            caps_version=view.caps_version,
            deployments=[DeploymentView.of(d, view) for d in by_age(view.deployments.values())],
            devices=_devices(devices),
            models=[ModelView.of(record) for record in view.models.values()],
            adapters=[AdapterView.of(record) for record in view.adapters.values()],
            processes=[ProcessView.of(record) for record in view.processes.values()],
        )


def by_age(deployments: Iterable[DeploymentRecord]) -> list[DeploymentRecord]:
    return sorted(deployments, key=lambda record: (record.created_at, record.deployment_id))


def _devices(snapshot: DeviceSnapshot) -> list[DeviceView]:
    return [
        DeviceView.model_validate(device).model_copy(
            update={
                "assignments": [AssignmentView.model_validate(a) for a in snapshot.holders(device)]
            }
        )
        for device in snapshot.devices
    ]
