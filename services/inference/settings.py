"""Settings of the inference agent; its replicas read the same."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from services.cluster.devices.records import GIB
from services.cluster.settings import ClusterSettings

_LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM's kernels take


class InferenceSettings(ClusterSettings):
    starter: bool = Field(
        True, description="Deploy the starter model on a cluster that never had a deployment."
    )
    engine_threads: int = Field(
        0, ge=0, description="Compute threads of an engine on a CPU; 0: all cores but one."
    )
    kv_cache_gib: float = Field(
        0, ge=0, description="Key-value cache of an engine in GiB; 0: by the devices it has."
    )
    max_running_requests: int = Field(
        0, ge=0, description="Requests in one batch; 0: 32 on a CPU, 256 on a GPU."
    )
    max_waiting_requests: int = Field(
        256, ge=0, description="Requests that may wait for a batch before new ones are refused."
    )
    max_lora_rank: int = Field(64, description="Highest rank of an adapter that may be loaded.")
    max_loras_in_batch: int = Field(4, ge=1, description="Adapters that one batch may mix.")
    max_loaded_adapters: int = Field(
        16, ge=1, description="Adapters that a replica may have loaded."
    )
    drain_seconds: float = Field(
        10, ge=0, description="Time that a replica which is stopped has to finish its requests."
    )
    retire_seconds: float = Field(
        300, ge=0, description="The same of a replica that a newer one has already replaced."
    )
    hub_url: str = Field(
        "https://huggingface.co",
        description="Hub that models are downloaded from, when an administrator asks for one;"
        " empty: none. HTTP_PROXY, HTTPS_PROXY and NO_PROXY say how it is reached.",
    )
    hub_token: SecretStr = Field(
        SecretStr(""), description="Token that is shown to the hub, for gated and private models."
    )
    download_lease_seconds: float = Field(
        30, gt=0, description="After so long without a word of its agent, a download begins again."
    )
    max_weights_bytes: int = Field(
        1024 * GIB, ge=1024, description="Longest upload of weights, and what it may unpack to."
    )
    echo_token_seconds: float = Field(
        0, ge=0, description="Time that the echo engine takes for each token."
    )

    @field_validator("max_lora_rank")
    @classmethod
    def _rank_of_the_kernels(cls, value: int) -> int:
        if value not in _LORA_RANKS:
            raise ValueError(f"must be one of {', '.join(map(str, _LORA_RANKS))}")
        return value

    @field_validator("hub_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with https:// or http://, or be empty")
        return value.rstrip("/")
