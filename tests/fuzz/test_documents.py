"""A few requests for each operation of the documents: no fault, and answers as described.

The engine is the echo double and no claim rests on it; `make fuzz` asks a whole cluster.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.cluster.identity import Scope
from services.gateway import document
from services.gateway.app import create_app
from tests.fuzz.asking import AnyCase, ask, described, exercise, operations
from tests.gateway.conftest import Gateway

_NUM_EXAMPLES = 4


@pytest.mark.parametrize(
    ("told", "scope"),
    [(document.administration, Scope.ADMIN), (document.clients, Scope.COMPLETIONS)],
)
async def test_answers_are_as_described(gateway: Gateway, told: Any, scope: Scope) -> None:
    def asked(case: AnyCase) -> None:
        ask(case, gateway.url, gateway.tokens[scope])

    found = operations(described(told(create_app().routes)))
    assert len(found) > 20
    failures = []
    for operation in found:
        failures += await asyncio.to_thread(exercise, operation, asked, _NUM_EXAMPLES, covers=False)
    assert not failures, "\n\n".join(failures)
