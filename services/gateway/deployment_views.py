"""What is asked of a deployment, and what would become of it, as /api/v1 takes and shows it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from services.gateway.message_view import MessageView
from services.gateway.request_body import Body

AdapterPolicy = Literal["off", "latest_best", "named"]

_UINT32_MAX = 2**32 - 1
_BYTES_MAX = 2**53 - 1  # what JavaScript counts exactly
Count = Annotated[int, Field(ge=0, le=_UINT32_MAX)]
Bytes = Annotated[int, Field(ge=0, le=_BYTES_MAX)]


class NewDeployment(Body):
    """What is left out has its default; 0 stands for it in numbers.

    `deployment_id`: empty for one made of the model's name. `devices_per_replica`: sharding.
    `device_bytes`: the share of each device, 0 for whole devices. `context_tokens` 0: the model's.
    `quantization`: `fp8`, or empty for weights as they are on disk. `speculative_tokens`: guessed
    from the text before, 0 for none. `yields_to_runs`: a fine-tune may ask it to make room.
    """

    model: str = Field(min_length=1)
    deployment_id: str = ""
    team_id: str = ""
    engine: str = "vllm"
    num_replicas: Count = 1
    devices_per_replica: Count = 1
    device_bytes: Bytes = 0
    context_tokens: Count = 0
    kv_cache_bytes: Bytes = 0
    max_running_requests: Count = 0
    quantization: str = ""
    speculative_tokens: Count = 0
    yields_to_runs: bool = False
    adapter_policy: AdapterPolicy = "latest_best"
    default_adapter_id: str = ""
    adapter_ids: list[str] = []


class DeploymentChanges(Body):
    """What is left out stays as it is.

    New replicas are started where something changes that running ones cannot take over, beside the
    old ones if memory allows.
    """

    model: str | None = Field(None, min_length=1)
    team_id: str | None = None
    engine: str | None = None
    num_replicas: Count | None = None
    devices_per_replica: Count | None = None
    device_bytes: Bytes | None = None
    context_tokens: Count | None = None
    kv_cache_bytes: Bytes | None = None
    max_running_requests: Count | None = None
    quantization: str | None = None
    speculative_tokens: Count | None = None
    yields_to_runs: bool | None = None
    adapter_policy: AdapterPolicy | None = None
    default_adapter_id: str | None = None
    adapter_ids: list[str] | None = None


class PlannedReplicaView(MessageView):
    """`device_bytes` 0: whole devices."""

    host_id: str
    device_ids: list[str]
    device_bytes: int


class DeploymentPlanView(MessageView):
    """Bytes are of each device, of the fullest where they differ.

    `refusal` is empty when it fits; else each `advice`, taken alone, makes it fit. With less than
    `least_bytes` it does not start; `usable_bytes` is what an engine would have. The cache would
    hold `num_contexts` whole contexts, and one of at most `max_context_tokens`; 0 while unknown.
    `device_counts`: values of devices_per_replica that the model allows.
    """

    fits: bool
    refusal: str
    advice: list[str]
    replicas: list[PlannedReplicaView]
    weights_bytes: int
    kv_cache_bytes: int
    overhead_bytes: int
    least_bytes: int
    usable_bytes: int
    tensor_parallel: int
    pipeline_parallel: int
    sharding_reason: str
    device_counts: list[int]
    num_contexts: int
    max_context_tokens: int
