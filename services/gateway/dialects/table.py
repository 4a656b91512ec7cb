"""Every way in which clients ask for text. A new dialect is an Exchange and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.gateway.dialects.anthropic_messages import AnthropicMessages, AnthropicTokenCount
from services.gateway.dialects.exchange import Exchange
from services.gateway.dialects.openai_chat import OpenAIChat
from services.gateway.dialects.openai_completion import OpenAICompletion


@dataclass(frozen=True)
class Dialect:
    """Of a POST to `path` whose body has the field `mark`; without one: the path's own."""

    path: str
    exchange: type[Exchange[Any]]
    mark: str = ""


DIALECTS = (
    Dialect("/v1/completions", OpenAICompletion),
    Dialect("/v1/chat/completions", OpenAIChat),
    Dialect("/v1/messages", AnthropicMessages),
    Dialect("/v1/messages/count_tokens", AnthropicTokenCount),
)
