"""Mistral's own protocol: OpenAI's with some names of its own, and fill-in-the-middle.

Source: https://docs.mistral.ai/api.
"""

from __future__ import annotations

from typing import Any

from services.cluster.provider_records import ProviderModel
from services.gateway.providers.openai_wire import OpenAIWire


class MistralWire(OpenAIWire):
    """Usage comes with the last chunk unasked."""

    required_word = "any"
    seed_field = "random_seed"
    fim_path = "/fim/completions"
    asks_for_usage = False

    def __init__(self) -> None:
        super().__init__("Mistral")

    def _model(self, entry: dict[str, Any]) -> ProviderModel:
        has = entry.get("capabilities") or {}
        return ProviderModel(
            name=entry["id"],
            context_tokens=entry.get("max_context_length") or 0,
            supports_chat=bool(has.get("completion_chat", True)),
            supports_fill_in_the_middle=bool(has.get("completion_fim")),
            supports_tools=bool(has.get("function_calling", True)),
            supports_images=bool(has.get("vision")),
        )
