"""The kinds of servers elsewhere: how each is spoken to, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.cluster.provider_records import ProviderKind
from services.gateway.providers.anthropic_wire import AnthropicWire
from services.gateway.providers.groq_wire import GroqWire
from services.gateway.providers.mistral_wire import MistralWire
from services.gateway.providers.openai_wire import OpenAIWire
from services.gateway.providers.wire import Wire


@dataclass(frozen=True)
class Kind:
    """`base_url` is where it is found unless somebody says otherwise, "" where they must."""

    label: str
    wire: Wire
    base_url: str = ""


KINDS: Mapping[ProviderKind, Kind] = {
    ProviderKind.OPENAI: Kind(
        "OpenAI",
        OpenAIWire("OpenAI", max_tokens_field="max_completion_tokens"),
        "https://api.openai.com/v1",
    ),
    ProviderKind.ANTHROPIC: Kind("Anthropic", AnthropicWire(), "https://api.anthropic.com/v1"),
    ProviderKind.MISTRAL: Kind("Mistral", MistralWire(), "https://api.mistral.ai/v1"),
    ProviderKind.GROQ: Kind("Groq", GroqWire(), "https://api.groq.com/openai/v1"),
    ProviderKind.COMPATIBLE: Kind("OpenAI-compatible", OpenAIWire("This server", is_engine=True)),
    ProviderKind.REMOTE: Kind("Own cluster", OpenAIWire("This server", is_engine=True)),
}
