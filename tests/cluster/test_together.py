from __future__ import annotations

import asyncio

import pytest

from services.cluster.tasks import together


class Job:
    """Ends when it is told to, and knows how."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.was_cancelled = False

    async def run(self, result: int) -> int:
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        if result < 0:
            raise ValueError("negative")
        return result


async def test_results_keep_their_order() -> None:
    first, second = Job(), Job()
    found = asyncio.create_task(together([first.run(1), second.run(2)]))
    second.may_end.set()
    first.may_end.set()
    assert await found == [1, 2]
    assert await together([]) == []


async def test_the_others_are_ended_before_an_error_arrives() -> None:
    failing, other = Job(), Job()
    failing.may_end.set()
    with pytest.raises(ValueError, match="negative"):
        await together([other.run(1), failing.run(-1)])
    assert other.was_cancelled


async def test_they_end_with_their_caller() -> None:
    jobs = [Job(), Job()]
    caller = asyncio.create_task(together([job.run(1) for job in jobs]))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert all(job.was_cancelled for job in jobs)
