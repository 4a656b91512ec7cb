"""Many generations over one stream: slots, credit, cancel. Knows nothing of gRPC's calls.

Memory is bounded by the slots: one has at most one response held back, into which everything goes
that its generation makes while it has no credit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from services.cluster.errors import BadRequest, HearthError, Internal, Overloaded
from services.cluster.log import request_id_var
from services.cluster.pb.v1 import replica_pb2 as pb

log = logging.getLogger(__name__)

MAX_SLOTS = 1024
_ALREADY_EXISTS = 6  # google.rpc.Code

Generate = Callable[[pb.GenerateRequest], AsyncGenerator[pb.GenerateResponse]]


@dataclass
class _Slot:
    credit: int
    held: pb.GenerateResponse | None = None
    error: pb.SessionError | None = None
    task: asyncio.Task[None] | None = None

    @property
    def due(self) -> bool:
        return self.error is not None or (self.held is not None and self.credit > 0)


class Session:
    """An error and the answer to a cancel need no credit; output that was held back is dropped."""

    def __init__(self, generate: Generate) -> None:
        self._generate = generate
        self._slots: dict[int, _Slot] = {}
        self._refusals: list[pb.SessionDelta] = []
        self._due = asyncio.Event()
        self._closed = False

    async def responses(
        self, requests: AsyncIterator[pb.SessionRequest]
    ) -> AsyncGenerator[pb.SessionResponse]:
        """Until the caller closes its side; then, and on any error, every slot is aborted."""
        reader = asyncio.create_task(self._read(requests), name="session-reader")
        try:
            while not self._closed:
                await self._due.wait()
                self._due.clear()
                if deltas := self._collect():
                    yield pb.SessionResponse(deltas=deltas)
            await reader
        finally:
            reader.cancel()
            tasks = [slot.task for slot in self._slots.values() if slot.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(reader, *tasks, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[pb.SessionRequest]) -> None:
        try:
            async for request in requests:
                action = request.WhichOneof("action")
                if action == "start":
                    self._start(request.start)
                elif action == "cancel":
                    self._cancel(request.cancel.slot)
                elif action == "credit":
                    self._grant(request.credit)
                else:
                    raise BadRequest("A session message must start, cancel or grant credit.")
        finally:
            self._closed = True
            self._due.set()

    def _start(self, start: pb.SessionStart) -> None:
        if start.slot in self._slots:
            message = f"Slot {start.slot} is busy; it goes on. Choose a free one."
            self._refuse(
                start.slot,
                pb.SessionError(grpc_status=_ALREADY_EXISTS, code="conflict", message=message),
            )
            return
        if start.credit < 1:
            self._refuse(start.slot, _wire_error(BadRequest("credit must be at least 1.")))
            return
        if len(self._slots) >= MAX_SLOTS:
            self._refuse(
                start.slot,
                _wire_error(
                    Overloaded(f"This session has {MAX_SLOTS} busy slots, which is the limit.")
                ),
            )
            return
        slot = self._slots[start.slot] = _Slot(credit=start.credit)
        slot.task = asyncio.create_task(
            self._run(start.slot, slot, start.request), name=f"slot-{start.slot}"
        )
        slot.task.add_done_callback(lambda task: self._ended(slot, task))

    def _refuse(self, slot: int, error: pb.SessionError) -> None:
        self._refusals.append(pb.SessionDelta(slot=slot, error=error))
        self._due.set()

    def _cancel(self, number: int) -> None:
        """A slot that has ended meanwhile is no error: the two messages crossed."""
        slot = self._slots.get(number)
        if slot is None or slot.task is None:
            return
        if slot.task.done():  # its end was held back
            slot.credit = max(slot.credit, 1)
            self._due.set()
        else:
            slot.task.cancel()

    def _grant(self, grant: pb.SessionCredit) -> None:
        slot = self._slots.get(grant.slot)
        if slot:
            slot.credit += grant.credit
            self._due.set()

    async def _run(self, number: int, slot: _Slot, request: pb.GenerateRequest) -> None:
        request_id_var.set(request.context.request_id)
        try:
            async with aclosing(self._generate(request)) as responses:
                async for response in responses:
                    if slot.held is None:
                        slot.held = response
                    else:
                        merge(slot.held, response)
                    self._due.set()
        except HearthError as error:
            slot.error = _wire_error(error)
        except Exception:  # the slot's boundary; the session goes on
            log.exception("slot failed", extra={"slot": number})
            slot.error = _wire_error(
                Internal("The process met a fault of its own; its log has the details.")
            )

    def _ended(self, slot: _Slot, task: asyncio.Task[None]) -> None:
        """Also for a task that was cancelled before its first step, in which nothing ran."""
        if task.cancelled():
            slot.held = pb.GenerateResponse(finish=pb.Finish(reason=pb.FINISH_REASON_ABORTED))
            slot.credit = max(slot.credit, 1)
        self._due.set()

    def _collect(self) -> list[pb.SessionDelta]:
        deltas, self._refusals = self._refusals, []
        for number, slot in list(self._slots.items()):
            if not slot.due:
                continue
            if slot.error is not None:
                deltas.append(pb.SessionDelta(slot=number, error=slot.error))
                del self._slots[number]
                continue
            held, slot.held = slot.held, None
            if held is None:
                continue
            slot.credit -= 1
            deltas.append(pb.SessionDelta(slot=number, response=held))
            if held.HasField("finish"):
                del self._slots[number]
        return deltas


def merge(into: pb.GenerateResponse, later: pb.GenerateResponse) -> None:
    """Packs a later response into one that was held back."""
    into.token_ids.extend(later.token_ids)
    into.text += later.text
    into.reasoning += later.reasoning
    into.logprobs.extend(later.logprobs)
    into.prompt_logprobs.extend(later.prompt_logprobs)
    into.tool_calls.extend(later.tool_calls)
    if later.HasField("finish"):
        into.finish.CopyFrom(later.finish)


def _wire_error(error: HearthError) -> pb.SessionError:
    number: int = error.grpc_status.value[0]
    return pb.SessionError(grpc_status=number, code=error.code, message=error.message)
