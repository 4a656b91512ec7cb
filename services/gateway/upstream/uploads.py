"""RPCs that take a stream of requests: sent as fast as the peer takes them, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import grpc
import grpc.aio

from services.cluster.errors import HearthError
from services.cluster.tasks import end
from services.gateway.upstream.calls import answered, explained

Request = TypeVar("Request")
T = TypeVar("T")


async def sent(
    method: Callable[[AsyncIterator[Request]], grpc.aio.StreamUnaryCall[Request, T]],
    messages: AsyncIterator[Request],
) -> T:
    """The answer to a stream of requests, also one that comes before all of them were taken.

    No more than two messages are held. What `messages` raises is raised here and cancels the RPC.
    """
    queue: asyncio.Queue[Request | None] = asyncio.Queue(1)

    async def fill() -> None:
        async for message in messages:
            await queue.put(message)
        await queue.put(None)

    async def taken() -> AsyncGenerator[Request]:
        while (message := await queue.get()) is not None:
            yield message

    call = method(taken())
    told = _Told(call)
    filling = asyncio.create_task(fill())
    answering = asyncio.create_task(answered(call, None))
    try:
        await asyncio.wait({filling, answering}, return_when=asyncio.FIRST_COMPLETED)
        if filling.done() and not answering.done():
            filling.result()
        try:
            return await answering
        except HearthError as error:
            raise told.error or error from None
    finally:
        await end(filling)
        await end(answering)
        # grpc goes on taking requests after an early answer: this lets it end.
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(None)


async def in_threads(parts: Iterable[T]) -> AsyncGenerator[T]:
    """An iterator that reads files, one step at a time outside the event loop."""
    iterator, over = iter(parts), object()
    while (part := await asyncio.to_thread(next, iterator, over)) is not over:
        yield part  # type: ignore[misc]  # `over` is no part


class _Told:
    """The error that came from the peer.

    When a request cannot be sent because the peer has ended the call, grpc.aio puts an INTERNAL of
    its own in the place of the status that came from there (grpc/grpc#36066).
    """

    def __init__(self, call: grpc.aio.StreamUnaryCall[Any, Any]) -> None:
        self.error: HearthError | None = None
        call.add_done_callback(self._note)

    def _note(self, call: Any) -> None:
        """Called when the call has a status; a task would read it too late."""
        trailing = _at_once(call.trailing_metadata())
        if trailing:  # else it is no status of a peer, which may still come
            code, details = _at_once(call.code()), _at_once(call.details())
            empty = grpc.aio.Metadata()
            self.error = explained(grpc.aio.AioRpcError(code, empty, trailing, details))


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("A call that has ended does not know how.")
