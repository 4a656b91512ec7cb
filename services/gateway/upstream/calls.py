"""RPCs of all kinds, as callers here want them: errors translated, bounded, ended when given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from typing import Any, TypeVar

import grpc
import grpc.aio

from services.cluster.errors import DeadlineExceeded, HearthError, Unavailable
from services.cluster.rpc import translate_rpc_error

ANSWER_SECONDS = 30.0
_RETRY_SECONDS = 2.0
# Without trailing metadata these come from no process of ours but from the connection to it.
_LOST = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}

T = TypeVar("T")


def lost() -> Unavailable:
    return Unavailable(
        "The service behind this does not answer; it is being started again. Ask again.",
        retry_after_seconds=_RETRY_SECONDS,
    )


async def answered(call: Awaitable[T], seconds: float | None = ANSWER_SECONDS) -> T:
    """The answer of an RPC. Raises what the peer raised, Unavailable and DeadlineExceeded."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except grpc.aio.AioRpcError as error:
        raise explained(error) from None
    except TimeoutError:
        raise DeadlineExceeded(
            f"The service behind this did not answer in {seconds:g} s."
        ) from None
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise lost() from None


async def streamed(call: grpc.aio.UnaryStreamCall[Any, T]) -> AsyncGenerator[T]:
    """The messages of an RPC. Closing the generator cancels it. Raises as `answered` does."""
    try:
        while (message := await call.read()) is not grpc.aio.EOF:
            yield message  # type: ignore[misc]  # EOF is no message
    except grpc.aio.AioRpcError as error:
        raise explained(error) from None
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise lost() from None
    finally:
        call.cancel()


def is_cancelled() -> bool:
    """Whether it was this task: a channel that is closed under a call cancels the call as well."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def is_lost(error: grpc.aio.AioRpcError) -> bool:
    return error.code() in _LOST and not error.trailing_metadata()


def explained(error: grpc.aio.AioRpcError) -> HearthError:
    if is_lost(error):
        return lost()
    return translate_rpc_error(error)
