"""`python -m tests.faults.starting URL DATA_DIR`: connects as a process of today's Hearth does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from services.cluster.store.connection import Store


async def main(url: str, data_dir: Path) -> None:
    print("begins", flush=True)  # noqa: T201
    store = await Store.connect(url, data_dir=data_dir, wait_seconds=30)
    await store.close()
    print("connected", flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
