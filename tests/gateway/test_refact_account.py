"""What Refact's plugins of 2023 ask first, of a real gateway."""

from __future__ import annotations

import pytest

from services.cluster.identity import Scope
from tests.gateway.conftest import Gateway


async def test_plugins_of_2023_learn_whose_the_token_is(gateway: Gateway) -> None:
    async with gateway.client() as client:
        login = (await client.get("/v1/login")).json()
        key = (await client.get("/v1/secret-key-activate")).json()
    assert login["retcode"] == key["retcode"] == "OK"
    assert login["account"] == "admin"
    assert login["longthink-functions-today-v2"] == {}
    assert login["longthink-filters"] == []
    assert key["human_readable_message"] == "API key verified"


@pytest.mark.parametrize("path", ["/v1/login", "/v1/secret-key-activate"])
async def test_plugins_of_2023_learn_that_a_token_is_wrong(gateway: Gateway, path: str) -> None:
    async with gateway.client(None) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["retcode"] == "FAILED"
            assert "token" in answer.json()["human_readable_message"]
    async with gateway.client(Scope.MODELS_READ) as client:
        answer = await client.get(path)
        assert answer.status_code == 403
        assert "scope" in answer.json()["human_readable_message"]
