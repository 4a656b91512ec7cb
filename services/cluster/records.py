"""The small durable records of the registry. Times are unix seconds; ids are opaque strings."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

log = logging.getLogger(__name__)

_REPLICA_ID = re.compile(r"(?P<deployment_id>.+)-\d+(\.\d+)?")


class Record(BaseModel):
    """Immutable; unknown fields of a newer writer are ignored. Numbers are finite, as in JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    schema_version: int = 1

    @property
    def record_id(self) -> str:
        raise NotImplementedError

    @property
    def caps_digest(self) -> str:
        """What of this record decides which models a client is offered; "" for nothing."""
        return ""


R = TypeVar("R", bound=Record)


def readable(kind: type[R], values: Iterable[str | bytes]) -> list[R]:
    """The records in `values`. One that cannot be read is logged and harms no other."""
    found = []
    for value in values:
        try:
            found.append(kind.model_validate_json(value))
        except ValidationError:
            log.exception("record cannot be read", extra={"kind": kind.__name__})
    return found


class ReplicaPhase(StrEnum):
    """`warming`: the engine is up, and its first generation runs."""

    DOWNLOADING = "downloading"
    STARTING = "starting"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
    ASLEEP = "asleep"


class DeploymentPhase(StrEnum):
    PENDING = "pending"
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


class AdapterPolicy(StrEnum):
    OFF = "off"
    LATEST_BEST = "latest_best"
    NAMED = "named"


class FimTokens(Record):
    """Texts of a model family's fill-in-the-middle tokens."""

    family: str
    prefix: str
    suffix: str
    middle: str
    end: str
    extra_stop: tuple[str, ...] = ()


class DeploymentRecord(Record):
    """What is wanted; `phase` and `detail` are the agent's answer to it.

    `device_bytes` is to be taken of each device, 0 for the whole device; `kv_cache_bytes` of it are
    the key-value cache's, 0 for the rest. `context_tokens` is the limit wanted, 0 for the model's
    own; `max_running_requests` 0 stands for the agent's. `quantization` is how weights are made
    smaller when they are loaded, "" as they are on disk. `speculative_tokens` are guessed at once
    from the text before, 0 for none. `edition` grows with each change that needs new replicas.
    """

    deployment_id: str
    team_id: str = ""
    project_id: str = ""
    model: str
    engine: str = "vllm"
    num_replicas: int = 1
    devices_per_replica: int = 1
    device_bytes: int = 0
    context_tokens: int = 0
    kv_cache_bytes: int = 0
    max_running_requests: int = 0
    quantization: str = ""
    speculative_tokens: int = 0
    adapter_policy: AdapterPolicy = AdapterPolicy.LATEST_BEST
    default_adapter_id: str = ""
    adapter_ids: tuple[str, ...] = ()
    yields_to_runs: bool = False
    edition: int = 0
    created_at: float
    updated_at: float
    phase: DeploymentPhase = DeploymentPhase.PENDING
    detail: str = ""

    @property
    def record_id(self) -> str:
        return self.deployment_id

    @property
    def replica_ids(self) -> tuple[str, ...]:
        """By number: `ID-NUMBER`, or `ID-NUMBER.EDITION` after a change."""
        suffix = f".{self.edition}" if self.edition else ""
        return tuple(f"{self.deployment_id}-{n}{suffix}" for n in range(self.num_replicas))

    @property
    def caps_digest(self) -> str:
        return f"{self.model}|{self.team_id}|{self.adapter_policy}|{self.default_adapter_id}"


def deployment_of(replica_id: str) -> str:
    """Whose a replica is, from its id; "" for none that a deployment gives."""
    found = _REPLICA_ID.fullmatch(replica_id)
    return found["deployment_id"] if found else ""


class ReplicaRecord(Record):
    """A running engine as it describes itself. `address` is HOST:PORT of its RPC server.

    While its weights are downloaded, `present_bytes` of `total_bytes` are there, 0 while unknown.
    `adapter_problems` says, by adapter, why one that is wanted cannot be loaded.
    """

    replica_id: str
    deployment_id: str
    model: str
    engine: str
    engine_version: str = ""
    host_id: str
    address: str = ""
    metrics_address: str = ""
    phase: ReplicaPhase
    detail: str = ""
    device_ids: tuple[str, ...] = ()
    loaded_adapter_ids: tuple[str, ...] = ()
    adapter_problems: Mapping[str, str] = {}
    context_tokens: int = 0
    num_running: int = 0
    num_waiting: int = 0
    present_bytes: int = 0
    total_bytes: int = 0
    remaining_seconds: float | None = None
    fim: FimTokens | None = None
    supports_chat: bool = False
    embedding_size: int = 0
    pid: int = 0
    started_at: float

    @property
    def record_id(self) -> str:
        return self.replica_id

    @property
    def fills_in_the_middle(self) -> bool:
        return self.fim is not None

    @property
    def caps_digest(self) -> str:
        if self.phase is not ReplicaPhase.READY:
            return ""
        return f"{self.model}|{self.context_tokens}|{','.join(self.loaded_adapter_ids)}"


class AdapterRecord(Record):
    """A published LoRA. `better_than_base` is None until it was evaluated."""

    adapter_id: str
    model: str
    name: str
    team_id: str = ""
    project_id: str = ""
    rank: int
    created_at: float
    better_than_base: bool | None = None

    @property
    def record_id(self) -> str:
        return self.adapter_id

    @property
    def caps_digest(self) -> str:
        return f"{self.model}|{self.name}|{self.team_id}|{self.better_than_base}"


class ModelRecord(Record):
    """A model of the catalogue, as read from its files. `fim_family` is "" for none.

    `host_id` is the host that has the weights, "" for every host. `kv_values_per_token` is how many
    numbers the key-value cache keeps of each token. The widths of its layers, but for heads, are
    multiples of `width_divisor`. Counts of its shape are 0 while unknown.
    `num_active_parameters` are those that each token goes through, where experts take turns, else
    0. `chat_template` is there where somebody gave another than the model's own. `gated`: the hub
    wants a token for it. The parsers are vLLM's, by its names, "" for none. `commit` is the hub's,
    which `revision` stood for. Of weights that Hearth keeps, `local_path` is relative to the data
    volume.
    """

    name: str
    origin: str
    local_path: str = ""
    hub_id: str = ""
    revision: str = ""
    commit: str = ""
    gated: bool = False
    architecture: str = ""
    num_parameters: int = 0
    num_active_parameters: int = 0
    context_tokens: int = 0
    weights_bytes: int = 0
    quantization: str = ""
    num_layers: int = 0
    num_heads: int = 0
    num_kv_heads: int = 0
    kv_values_per_token: int = 0
    width_divisor: int = 0
    embedding_size: int = 0
    fim_family: str = ""
    chat_template: str = ""
    tool_parser: str = ""
    reasoning_parser: str = ""
    supports_completion: bool = True
    supports_chat: bool = False
    supports_toolbox: bool = False
    supports_embeddings: bool = False
    supports_finetune: bool = False
    supports_tools: bool = False
    supports_reasoning: bool = False
    supports_images: bool = False
    licence: str = ""
    host_id: str = ""

    @property
    def record_id(self) -> str:
        return self.name

    def folder(self, data_dir: Path) -> Path:
        """Of its files, on a host with this data volume."""
        return data_dir / self.local_path  # an absolute path stays what it is


class ProcessRecord(Record):
    """A process of the cluster. Addresses are HOST:PORT, "" where it serves none."""

    process_id: str
    service: str
    host_id: str
    address: str = ""
    http_address: str = ""
    metrics_address: str = ""
    status: str = "starting"
    detail: str = ""
    version: str = ""
    pid: int = 0
    started_at: float

    @property
    def record_id(self) -> str:
        return self.process_id
