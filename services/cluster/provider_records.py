"""Servers elsewhere that answer for models of their own: outside providers, remote deployments."""

from __future__ import annotations

from enum import StrEnum

from services.cluster.records import Record


class ProviderKind(StrEnum):
    """`COMPATIBLE` speaks OpenAI's protocol and is somebody else's, `REMOTE` the same and is ours:
    an own cluster of vLLM or SGLang, a deployment without a replica of Hearth's.
    """

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    MISTRAL = "mistral"
    GROQ = "groq"
    COMPATIBLE = "compatible"
    REMOTE = "remote"

    @property
    def leaves_site(self) -> bool:
        """Whether what is asked goes to others."""
        return self is not ProviderKind.REMOTE


class ProviderModel(Record):
    """A model by the provider's own name. `max_output_tokens` 0: no limit but the context's.

    `fim_family` is a row of `fim.FAMILIES` whose tokens its plain completions understand, "" for
    none. `embedding_size` 0: it makes no embeddings, else nothing but them.
    """

    name: str
    context_tokens: int
    max_output_tokens: int = 0
    supports_chat: bool = True
    supports_completion: bool = False
    supports_fill_in_the_middle: bool = False
    supports_tools: bool = True
    supports_images: bool = False
    fim_family: str = ""
    embedding_size: int = 0


class ProviderRecord(Record):
    """`sealed_key` is encrypted by `sealing`, "" for a server that wants none.

    Nothing is asked of it before it `is_enabled`. `team_ids` may use it, none named: every team.
    """

    provider_id: str
    kind: ProviderKind
    base_url: str
    sealed_key: str = ""
    key_changed_at: float = 0
    is_enabled: bool = False
    team_ids: tuple[str, ...] = ()
    masks_secrets: bool = True
    models: tuple[ProviderModel, ...] = ()
    created_at: float
    updated_at: float

    @property
    def record_id(self) -> str:
        return self.provider_id

    @property
    def caps_digest(self) -> str:
        if not self.is_enabled:
            return ""
        models = [model.model_dump_json() for model in self.models]
        return "|".join((self.kind, ",".join(self.team_ids), *models))

    def model_name(self, model: ProviderModel) -> str:
        """As clients name it: what leaves the site says where it goes."""
        return f"{self.provider_id}/{model.name}" if self.kind.leaves_site else model.name

    def is_for(self, team_id: str) -> bool:
        return self.is_enabled and (not self.team_ids or team_id in self.team_ids)
