"""What Anthropic's clients send."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx

from tests.gateway.conftest import Gateway

PATH = "/v1/messages"
QUESTION = {"role": "user", "content": "hello"}
TOOLS = [
    {"name": "look", "description": "Looks.", "input_schema": {"properties": {"at": {}}}},
    {"type": "custom", "name": "write", "input_schema": {"type": "object"}},
]
PIXEL = base64.b64encode(b"\x89PNG").decode()
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


async def post(gateway: Gateway, path: str = PATH, **body: Any) -> httpx.Response:
    async with gateway.client(None) as client:
        client.headers["x-api-key"] = next(iter(gateway.tokens.values()))
        client.headers["anthropic-version"] = "2023-06-01"
        client.headers["anthropic-beta"] = "interleaved-thinking-2025-05-14"
        fields = {"messages": [QUESTION], "max_tokens": 64, "temperature": 0, **body}
        return await client.post(path, content=json.dumps(fields))
