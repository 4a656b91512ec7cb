"""What answers a request: a replica of Hearth's, or a model that a server elsewhere has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.cluster.fim import family_named
from services.cluster.provider_records import ProviderModel, ProviderRecord
from services.cluster.records import FimTokens


class Speaker(Protocol):
    """What it says of itself. `fim` are the tokens that a client would write into a prompt."""

    @property
    def model(self) -> str: ...
    @property
    def engine(self) -> str: ...
    @property
    def engine_version(self) -> str: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def fim(self) -> FimTokens | None: ...
    @property
    def fills_in_the_middle(self) -> bool: ...
    @property
    def supports_chat(self) -> bool: ...
    @property
    def embedding_size(self) -> int: ...
    @property
    def started_at(self) -> float: ...


@dataclass(frozen=True)
class RemoteModel:
    """A model of a provider, as a Speaker."""

    provider: ProviderRecord
    record: ProviderModel

    @property
    def model(self) -> str:
        return self.provider.model_name(self.record)

    @property
    def engine(self) -> str:
        return self.provider.kind.value

    @property
    def engine_version(self) -> str:
        return self.provider.provider_id

    @property
    def context_tokens(self) -> int:
        return self.record.context_tokens

    @property
    def fim(self) -> FimTokens | None:
        family = family_named(self.record.fim_family)
        return family.record([*family.tokens, *family.stops]) if family else None

    @property
    def fills_in_the_middle(self) -> bool:
        return self.record.supports_fill_in_the_middle or self.fim is not None

    @property
    def supports_chat(self) -> bool:
        return self.record.supports_chat and not self.embedding_size

    @property
    def embedding_size(self) -> int:
        return self.record.embedding_size

    @property
    def started_at(self) -> float:
        return self.provider.created_at
