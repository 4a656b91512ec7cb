"""What the faults of the cluster library share: their scene, and the table of what they did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.report import FaultReport, table
from tests.faults.scene import Scene, opened

_REPORTS = pytest.StashKey[list[FaultReport]]()


@pytest.fixture
def reports(request: pytest.FixtureRequest) -> list[FaultReport]:
    """What is appended is printed at the end of the run."""
    return request.config.stash.setdefault(_REPORTS, [])


@pytest_asyncio.fixture
async def scene(tmp_path: Path, reports: list[FaultReport]) -> AsyncIterator[Scene]:
    async with opened(tmp_path, reports.append) as scene:
        yield scene


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if reports := config.stash.get(_REPORTS, []):
        terminalreporter.section("faults")
        for line in table(reports):
            terminalreporter.write_line(line)
