"""Settings of the gateway."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from services.cluster.settings import ClusterSettings

MIB = 1024**2
# A path before ours. Its characters need no escape in a URL, a cookie or a page.
PREFIX_FORM = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){1,8}")
# What our own paths begin with: a prefix of that name could not be told from them.
OWN_PLACES = frozenset(
    {
        "api",
        "assets",
        "coding_assistant_caps.json",
        "healthz",
        "metrics",
        "readyz",
        "refact-caps",
        "stats",
        "tabby",
        "tokenizer",
        "v1",
        "v1beta",
    }
)


class GatewaySettings(ClusterSettings):
    host: str = Field("127.0.0.1", description="Address that HTTP clients reach the gateway at.")
    port: int = Field(8008, ge=1, le=65535, description="Port that HTTP clients reach it at.")
    public_url: str = Field(
        "",
        description="URL that people open, when it is another than that of host and port. Its path"
        " is what a proxy puts before ours.",
    )
    open_completions: bool = Field(
        False, description="Answers completions and chat without a token, as on a trusted network."
    )
    secure_cookies: bool = Field(
        False,
        description="Marks the session cookie Secure, also where neither HEARTH_PUBLIC_URL nor a"
        " trusted proxy says that browsers speak HTTPS.",
    )
    trusted_proxies: str = Field(
        "",
        description="Addresses and networks (CIDR), with commas, of proxies whose X-Forwarded-For,"
        " -Proto, -Host and -Prefix say who asks and for what; empty: none.",
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
    silent_seconds: float = Field(
        5,
        gt=0,
        description="After so long without a first token a replica is asked whether it lives; one"
        " that does not say so within the same time is given up.",
    )
    max_queued_requests: int = Field(
        256,
        ge=1,
        description="Requests that may wait for their first token at each replica of a model before"
        " new ones are refused; a quarter of the places is kept for completions.",
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

    @field_validator("public_url")
    @classmethod
    def _address(cls, value: str) -> str:
        """Without a slash at the end. A page's address has more, which would be in every link."""
        if not value:
            return value
        value = value.rstrip("/")
        parts = urlsplit(value)
        bare = f"{parts.scheme}://{parts.netloc}{parts.path}" == value and "@" not in parts.netloc
        if parts.scheme not in ("http", "https") or not parts.netloc or not bare:
            raise ValueError("must be an address such as https://tools.example/hearth")
        if parts.path and not PREFIX_FORM.fullmatch(parts.path):
            raise ValueError(
                "may have a path of letters, digits and - . _ ~ between slashes, such as /hearth"
            )
        if (first := parts.path[1:].partition("/")[0]) in OWN_PLACES:
            raise ValueError(f"may not have a path that begins with /{first}, as Hearth's own do")
        return value

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
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(place) for place in self.trusted_proxies.split(",") if place)

    @property
    def path_prefix(self) -> str:
        """Of the public URL, such as "/hearth"; "" where it has no path."""
        return urlsplit(self.public_url).path

    @property
    def url(self) -> str:
        """Where people reach the gateway, without a slash at the end."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return self.public_url or f"http://{host}:{self.port}"
