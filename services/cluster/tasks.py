"""Ending a background task for good."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_SECONDS = 1.0


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancels until the task has ended; an error it ended with was its own to report.

    Once is not enough: redis-py 8.1 on Python 3.11 loses a cancellation that arrives together with
    the answer it waits for (seen with XREAD BLOCK). Not at once, since one that is cancelled again
    while it gives a connection back loses it.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN_SECONDS)
