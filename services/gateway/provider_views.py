"""Providers as /api/v1 tells and takes them. A key is taken and never told."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

import httpx
from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from services.cluster.errors import BadRequest
from services.cluster.fim import FAMILIES
from services.cluster.provider_records import ProviderKind, ProviderModel, ProviderRecord
from services.gateway.providers.kinds import KINDS
from services.gateway.request_body import Body
from services.gateway.views import View

_MAX_MODELS = 500
_RESERVED = frozenset({"hearth", "kinds"})
_MAX_TEAMS = 100
_MAX_TOKENS = 2**31 - 1
_FIM_FAMILIES = [family.family for family in FAMILIES]
# Servers of open models, which take the tokens of a family within a prompt.
_RAW_PROMPTS = {ProviderKind.COMPATIBLE, ProviderKind.REMOTE}


def _address(value: str) -> str:
    """Where a key goes must be plain to see."""
    parts = urlsplit(value.strip())
    if parts.port == 0 or any(sign.isspace() for sign in value.strip()):
        raise ValueError("must be an address such as https://host/v1")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no user, password, ? or #; the key has a field of its own")
    try:
        # The name of the host is decoded when it is asked for.
        _ = httpx.URL(value.strip()).host
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"is no address: {error}") from None
    return value.strip().rstrip("/")


def _secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not text.isascii() or not (text.isprintable() and " " not in text):
        raise ValueError("must be one word of ASCII characters")
    return SecretStr(text)


def _not_ours(value: str) -> str:
    """Its models would have the names of ours, or it the address of another thing."""
    if value in _RESERVED:
        raise ValueError(f"may not be {value}: choose another name")
    return value


def _family(value: str) -> str:
    if value and value not in _FIM_FAMILIES:
        raise ValueError(f"must be one of {', '.join(_FIM_FAMILIES)}, or empty")
    return value


Address = Annotated[str, Field(max_length=1000), AfterValidator(_address)]
Key = Annotated[SecretStr, Field(max_length=4000), AfterValidator(_secret)]
Teams = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=_MAX_TEAMS)
]


class ProviderModelFields(View):
    """A model by the provider's own name. `embedding_size` 0: it makes none."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", strict=True)

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\s:][^\s]*$")
    context_tokens: int = Field(ge=1, le=_MAX_TOKENS)
    max_output_tokens: int = Field(0, ge=0, le=_MAX_TOKENS)
    supports_chat: bool = True
    supports_completion: bool = False
    supports_fill_in_the_middle: bool = False
    supports_tools: bool = True
    supports_images: bool = False
    fim_family: Annotated[str, AfterValidator(_family)] = ""
    embedding_size: int = Field(0, ge=0, le=2**16)


Models = Annotated[list[ProviderModelFields], Field(max_length=_MAX_MODELS)]


class ProviderModelView(ProviderModelFields):
    """`client_name` is what a request names as its model."""

    client_name: str


class ProviderView(View):
    """`leaves_site`: what is asked of its models goes to others. `team_ids` empty: every team."""

    provider_id: str
    kind: ProviderKind
    base_url: str
    has_key: bool
    key_changed_at: float
    is_enabled: bool
    leaves_site: bool
    masks_secrets: bool
    team_ids: list[str]
    models: list[ProviderModelView]
    created_at: float
    updated_at: float

    @classmethod
    def of(cls, record: ProviderRecord) -> Self:
        return cls(
            **record.model_dump(exclude={"sealed_key", "models", "schema_version"}),
            has_key=bool(record.sealed_key),
            leaves_site=record.kind.leaves_site,
            models=[
                ProviderModelView(
                    **model.model_dump(exclude={"schema_version"}),
                    client_name=record.model_name(model),
                )
                for model in record.models
            ],
        )


class NewProvider(Body):
    """`provider_id` and `base_url` are the kind's own where they are left out."""

    kind: Annotated[ProviderKind, Field(strict=False)]
    provider_id: Annotated[
        str, Field(pattern=r"^([a-z0-9][a-z0-9._-]{0,39})?$"), AfterValidator(_not_ours)
    ] = ""
    base_url: Address | None = None
    key: Key = SecretStr("")
    is_enabled: bool = False
    masks_secrets: bool = True
    team_ids: Teams = []
    models: Models = []


class ProviderChanges(Body):
    """What is left out stays. `key` "" forgets it; a new address needs the key again."""

    base_url: Address | None = None
    key: Key | None = None
    is_enabled: bool | None = None
    masks_secrets: bool | None = None
    team_ids: Teams | None = None
    models: Models | None = None


class ProviderKindView(View):
    """`base_url` "": whoever adds one must say it. `fim_families`: whose marks prompts may hold."""

    kind: ProviderKind
    label: str
    base_url: str
    leaves_site: bool
    fim_families: list[str]

    @classmethod
    def all(cls) -> list[Self]:
        return [
            cls(
                kind=name,
                label=kind.label,
                base_url=kind.base_url,
                leaves_site=name.leaves_site,
                fim_families=_FIM_FAMILIES if name in _RAW_PROMPTS else [],
            )
            for name, kind in KINDS.items()
        ]


class OfferedModelView(View):
    """What a provider says of a model; `context_tokens` 0 where it says nothing."""

    name: str
    context_tokens: int
    max_output_tokens: int
    supports_chat: bool
    supports_completion: bool
    supports_fill_in_the_middle: bool
    supports_tools: bool
    supports_images: bool


class ProviderTestView(View):
    """`problem` is a sentence, "" where the test passed. `answer`: of the model that was tried."""

    problem: str = ""
    seconds: float
    models: list[OfferedModelView] = []
    answer: str = ""


def checked_address(kind: ProviderKind, address: str | None) -> str:
    """Raises BadRequest: keys and code go to others over TLS, but for a proxy of this host."""
    found = address or KINDS[kind].base_url
    if not found:
        raise BadRequest(f"A provider of the kind {kind} needs its base_url.", param="base_url")
    parts = urlsplit(found)
    if kind.leaves_site and parts.scheme != "https" and not _is_this_host(parts.hostname or ""):
        raise BadRequest(
            "What leaves the site leaves encrypted: base_url must begin with https://. A server of"
            f" your own is of the kind {ProviderKind.REMOTE}.",
            param="base_url",
        )
    return found


def checked_models(models: list[ProviderModelFields]) -> tuple[ProviderModel, ...]:
    """Raises BadRequest for a name that comes twice."""
    names = [model.name for model in models]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadRequest(f"The model {twice} is listed twice.", param="models")
    return tuple(ProviderModel(**model.model_dump()) for model in models)


def _is_this_host(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
