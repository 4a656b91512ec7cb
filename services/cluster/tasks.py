"""Tasks that end when they should: for good, with others of theirs, or not before their time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

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


async def to_its_end(task: asyncio.Task[T], stop: Callable[[], None]) -> T:
    """What the task answers. A caller that is cancelled has it stopped, and goes after it."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop()
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: nobody else will ask for it
        raise


async def finished(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs it in a thread. A caller that is cancelled waits for what the thread still writes."""
    running = asyncio.create_task(asyncio.to_thread(function, *args, **kwargs))
    return await to_its_end(running, lambda: None)


async def together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results in order. When one fails or the caller is cancelled, the others are ended.

    asyncio.TaskGroup would wrap the error in an ExceptionGroup, which no caller of ours knows.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
