"""Every way in which clients ask for text. A new dialect is an Exchange and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.gateway.dialects.anthropic_messages import AnthropicMessages, AnthropicTokenCount
from services.gateway.dialects.exchange import Exchange
from services.gateway.dialects.mistral_fim import MistralFim
from services.gateway.dialects.openai_chat import OpenAIChat
from services.gateway.dialects.openai_completion import OpenAICompletion
from services.gateway.dialects.openai_responses import OpenAIResponses
from services.gateway.dialects.tabby_completion import TabbyCompletion


@dataclass(frozen=True)
class Dialect:
    """Of a POST to `path` whose body has the field `mark`; without one: the path's own."""

    path: str
    exchange: type[Exchange[Any]]
    mark: str = ""


DIALECTS = (
    Dialect("/v1/completions", OpenAICompletion),
    Dialect("/v1/completions", TabbyCompletion, "segments"),
    Dialect("/v1/chat/completions", OpenAIChat),
    Dialect("/v1/responses", OpenAIResponses),
    Dialect("/v1/fim/completions", MistralFim),
    Dialect("/tabby/v1/completions", TabbyCompletion),
    Dialect("/tabby/v1/chat/completions", OpenAIChat),
    Dialect("/tabby/v1beta/chat/completions", OpenAIChat),
    Dialect("/v1/messages", AnthropicMessages),
    Dialect("/v1/messages/count_tokens", AnthropicTokenCount),
)
