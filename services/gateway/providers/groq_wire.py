"""Groq's protocol: OpenAI's without some fields, which it refuses.

Source: https://console.groq.com/docs/openai.
"""

from __future__ import annotations

from services.gateway.providers.openai_wire import OpenAIWire


class GroqWire(OpenAIWire):
    absent = frozenset({"logit_bias", "num_logprobs"})
    named_roles = frozenset[str]()

    def __init__(self) -> None:
        super().__init__("Groq", max_tokens_field="max_completion_tokens")
