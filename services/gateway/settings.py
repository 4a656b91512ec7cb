"""Settings of the gateway."""

from __future__ import annotations

from ipaddress import ip_network

from pydantic import Field, field_validator

from services.cluster.settings import ClusterSettings

MIB = 1024**2


class GatewaySettings(ClusterSettings):
    host: str = Field("127.0.0.1", description="Address that HTTP clients reach the gateway at.")
    port: int = Field(8008, ge=1, le=65535, description="Port that HTTP clients reach it at.")
    public_url: str = Field(
        "", description="URL that people open, when it is another than that of host and port."
    )
    open_completions: bool = Field(
        False, description="Answers completions and chat without a token, as on a trusted network."
    )
    secure_cookies: bool = Field(
        False, description="Marks the session cookie Secure: set it when a proxy speaks HTTPS."
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses and networks (CIDR), with commas, of proxies whose X-Forwarded-For"
        " says who asks; empty: none.",
    )
    auth_stale_seconds: float = Field(
        600, gt=0, description="How long tokens are taken as last known while Redis is away."
    )
    max_body_bytes: int = Field(
        4 * MIB, ge=1024, description="Longest request body, but for prompts and uploads."
    )
    max_prompt_bytes: int = Field(
        32 * MIB,
        ge=1024,
        le=32 * MIB,  # what a message to a replica may have
        description="Longest request body of completions and chat, images included.",
    )
    max_adapter_bytes: int = Field(2048 * MIB, ge=1024, description="Longest upload of an adapter.")
    max_upload_bytes: int = Field(4096 * MIB, ge=1024, description="Longest upload of a source.")
    max_weights_bytes: int = Field(
        1024**2 * MIB, ge=1024, description="Longest upload of the weights of a model."
    )
    body_seconds: float = Field(
        60, gt=0, description="Longest silence within the body of a request."
    )
    first_token_seconds: float = Field(
        120, gt=0, description="Longest wait for the first token, the engine's queue included."
    )
    next_token_seconds: float = Field(
        60, gt=0, description="Longest wait between two messages of the engine."
    )
    write_seconds: float = Field(
        60, gt=0, description="Longest wait for a client that does not read its answer."
    )
    keep_alive_seconds: float = Field(
        15, gt=0, description="Longest silence of a stream of events; then it has a comment."
    )
    drain_seconds: float = Field(
        10, ge=0, description="Time that open answers have to end when the gateway is stopped."
    )
    adapter_wait_seconds: float = Field(
        60, gt=0, le=120, description="Longest wait for replicas to load or unload an adapter."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        """A name, or everybody, would let a client say to be somebody else."""
        places = [place.strip() for place in value.split(",") if place.strip()]
        for place in places:
            try:
                ip_network(place)
            except ValueError as error:
                raise ValueError(
                    f"must be addresses or networks such as 10.0.0.0/8: {error}"
                ) from None
        return ",".join(places)

    @property
    def url(self) -> str:
        """Where people reach the gateway, without a slash at the end."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return self.public_url.rstrip("/") or f"http://{host}:{self.port}"
