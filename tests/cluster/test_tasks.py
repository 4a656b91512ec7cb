"""Background tasks end for good, and work that cannot be cancelled is waited for."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from services.cluster.tasks import end, to_its_end


class TestEnd:
    async def test_one_that_loses_a_cancellation_is_cancelled_again(self) -> None:
        lost = []

        async def stubborn() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            lost.append(True)
            await asyncio.sleep(60)

        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        await end(task)
        assert task.cancelled()
        assert lost == [True]

    async def test_no_task_and_an_ended_one(self) -> None:
        await end(None)
        ended = asyncio.create_task(asyncio.sleep(0))
        await ended
        await end(ended)


class TestToItsEnd:
    async def test_it_answers_and_raises_what_the_task_does(self) -> None:
        async def five() -> int:
            return 5

        async def fault() -> int:
            raise ValueError("no")

        assert await to_its_end(asyncio.create_task(five()), pytest.fail) == 5
        with pytest.raises(ValueError, match="no"):
            await to_its_end(asyncio.create_task(fault()), pytest.fail)

    async def test_who_is_cancelled_twice_goes_after_the_work(self) -> None:
        stopped, may_end = asyncio.Event(), asyncio.Event()

        async def work() -> None:
            await may_end.wait()
            raise ValueError("seen by nobody")

        task = asyncio.create_task(work())
        caller = asyncio.create_task(to_its_end(task, stopped.set))
        await asyncio.sleep(0)
        caller.cancel()
        await stopped.wait()
        caller.cancel()
        await asyncio.sleep(0)
        assert not caller.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert task.done()
