from __future__ import annotations

import os
import time
from pathlib import Path


def wait_for_opened(place: Path, num_descriptors: int) -> None:
    """Until this process has the file open so many times: a lock has its holder and who waits."""
    deadline = time.monotonic() + 30
    while _targets().count(str(place)) < num_descriptors:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _targets() -> list[str]:
    return [os.path.realpath(link) for link in Path("/proc/self/fd").glob("*")]
