"""What the page Providers needs of the API to fill its form and to mark a field."""

from __future__ import annotations

from typing import Any

import pytest

from services.cluster.fim import FAMILIES
from services.cluster.identity import Scope
from tests.gateway.conftest import Gateway


async def test_kinds_that_take_raw_prompts_have_families(gateway: Gateway) -> None:
    async with gateway.client(Scope.ADMIN) as client:
        kinds = (await client.get("/api/v1/providers/kinds")).json()
    families = {kind["kind"]: kind["fim_families"] for kind in kinds}
    assert families["remote"] == families["compatible"] == [each.family for each in FAMILIES]
    assert families["mistral"] == families["anthropic"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("base_url", "nowhere"), ("key", "two words"), ("provider_id", "Open AI"), ("kind", "x")],
)
async def test_a_refusal_names_the_field(gateway: Gateway, field: str, value: str) -> None:
    body: dict[str, Any] = {"kind": "openai", field: value}
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.post("/api/v1/providers", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


async def test_a_refused_field_of_a_model_is_found_in_the_list(gateway: Gateway) -> None:
    model = {"name": "m", "context_tokens": 0}
    async with gateway.client(Scope.ADMIN) as client:
        answer = await client.post("/api/v1/providers", json={"kind": "openai", "models": [model]})
    assert answer.json()["error"]["param"] == "models"
    assert "models.0.context_tokens" in answer.json()["error"]["message"]
