"""What every process is told by its environment. Services subclass `ClusterSettings`.

Built once in `main()` and handed down; nothing else reads the environment.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "HEARTH_"
CLUSTER_KEY = "cluster.key"  # in the data volume


def own_redis_url(data_dir: Path) -> str:
    """Where the launcher's own Redis listens."""
    return f"unix://{data_dir / 'redis' / 'redis.sock'}"


class LocationSettings(BaseSettings):
    """Where the cluster's records and files are; all that the launcher itself needs to know."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True)

    redis_url: str = Field(
        "",
        description="Where Redis listens: redis://, rediss:// or unix://. Empty: the server that"
        " the launcher keeps in the data volume.",
    )
    data_dir: Path = Field(Path("data"), description="The data volume.")

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return value

    @field_validator("data_dir", mode="before")
    @classmethod
    def _named_folder(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("is empty: name a folder, or unset it for the folder data")
        return value


class ClusterSettings(LocationSettings):
    """Every field is set by the environment variable HEARTH_ + its name in capitals."""

    host_id: str = Field(
        default_factory=socket.gethostname, description="This host's name in the cluster."
    )
    bind_host: str = Field("127.0.0.1", description="Address that RPC and metrics listen on.")
    advertise_host: str = Field("127.0.0.1", description="Address that other processes dial.")
    rpc_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port of a service's RPC server; 0: a free one. Replicas take free ones.",
    )
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Port where Prometheus reads a service; 0: a free one."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severe log line that is written."
    )
    cluster_key: SecretStr = Field(
        SecretStr(""),
        description="Secret that processes show each other; empty: the file cluster.key.",
    )
    ca_bundle: Path | None = Field(
        None,
        description="File of certificates (PEM) that TLS connections to the hub and to providers"
        " are held to.",
    )
    allow_echo: bool = Field(False, description="Permits the echo engine, a test double.")
    nvml_double: bool = Field(False, description="Takes a test double for NVML.")
    nvml_double_gpus: str = Field(
        "", description="GPUs of the double: GiB of each, such as 24,24. Empty: a host without GPU."
    )
    cpu_memory_share: float = Field(
        0.5, gt=0, le=0.95, description="Share of a GPU-less host's memory that may be assigned."
    )

    @field_validator("nvml_double_gpus")
    @classmethod
    def _sizes(cls, value: str) -> str:
        try:
            good = all(0 < float(size) < 2**20 for size in value.split(",") if value)
        except ValueError:
            good = False
        if not good:
            raise ValueError(
                f"must be sizes in GiB with commas between them, such as 24,24, not {value!r}"
            )
        return value

    @field_validator("ca_bundle", mode="before")
    @classmethod
    def _certificates(cls, value: object) -> object:
        if not value:
            return None
        if not Path(str(value)).is_file():
            raise ValueError(f"there is no file {value}")
        return value

    @property
    def nvml_double_sizes(self) -> tuple[float, ...]:
        """GiB of each GPU of the double."""
        return tuple(float(size) for size in self.nvml_double_gpus.split(",") if size)

    @model_validator(mode="after")
    def _absolute_data_dir(self) -> ClusterSettings:
        object.__setattr__(self, "data_dir", self.data_dir.resolve())
        if not self.redis_url:
            object.__setattr__(self, "redis_url", own_redis_url(self.data_dir))
        return self

    @property
    def key(self) -> str:
        """The cluster key, from the environment or from the data volume.

        Raises FileNotFoundError when neither has one: `data_volume` makes it at the first start.
        """
        if secret := self.cluster_key.get_secret_value():
            return secret
        key = (self.data_dir / CLUSTER_KEY).read_text().strip()
        if not key:  # an empty one would equal that of anybody who shows none
            raise FileNotFoundError(f"{self.data_dir / CLUSTER_KEY} is empty")
        return key


S = TypeVar("S", bound=BaseSettings)


def load(kind: type[S]) -> S:
    """Settings from the environment; a bad value ends the process with a line that names it."""
    try:
        return kind()
    except ValidationError as error:
        for problem in error.errors():
            field = ".".join(str(part) for part in problem["loc"])
            said = problem["msg"].removeprefix("Value error, ")
            print(f"{ENV_PREFIX}{field.upper()}: {said}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
