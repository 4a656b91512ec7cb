"""Mistral's own protocol: OpenAI's with some names of its own, and fill-in-the-middle.

Source: https://docs.mistral.ai/api.
"""

from __future__ import annotations

import re
from typing import Any

from services.cluster.provider_records import ProviderModel
from services.gateway.providers.openai_wire import OpenAIWire
from services.gateway.providers.wire import call_id, num_tokens

_CALL_ID = re.compile("[a-zA-Z0-9]{9}")


class MistralWire(OpenAIWire):
    """Usage comes with the last chunk unasked. A field that it does not know is refused."""

    absent = frozenset({"logit_bias", "num_logprobs"})
    named_roles = frozenset({"tool"})
    max_temperature = 1.5
    required_word = "any"
    seed_field = "random_seed"
    fim_path = "/fim/completions"
    asks_for_usage = False
    takes_effort = False

    def __init__(self) -> None:
        super().__init__("Mistral")

    def _seed(self, seed: int) -> int:
        return seed % 2**63

    def _call_id(self, given: str) -> str:
        return call_id(given, _CALL_ID)

    def _model(self, entry: dict[str, Any]) -> ProviderModel:
        has = entry.get("capabilities") or {}
        return ProviderModel(
            name=entry["id"],
            context_tokens=num_tokens(entry.get("max_context_length")),
            supports_chat=bool(has.get("completion_chat", True)),
            supports_fill_in_the_middle=bool(has.get("completion_fim")),
            supports_tools=bool(has.get("function_calling", True)),
            supports_images=bool(has.get("vision")),
        )
