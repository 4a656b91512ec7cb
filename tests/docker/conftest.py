"""One composition for all tests: building and starting it takes minutes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docker.running import Composed


@pytest.fixture(scope="session")
def hearth() -> Iterator[Composed]:
    composed = Composed()
    try:
        try:
            composed.start("--build")
        except AssertionError as error:
            pytest.fail(f"{error}\n{composed.compose('logs', '--tail', '30')}")
        composed.token = composed.new_token("completions")
        composed.admin_token = composed.new_token("admin")
        yield composed
    finally:
        composed.remove()
