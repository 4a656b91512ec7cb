"""The replicas: which one answers, and what each has outstanding from this gateway."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Sequence,
)
from contextlib import aclosing, contextmanager
from typing import TypeVar

import grpc
import grpc.aio

from services.cluster.errors import (
    DeadlineExceeded,
    EngineUnavailable,
    HearthError,
    Overloaded,
    Unavailable,
)
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import ReplicaRecord
from services.cluster.rpc import translate_rpc_error
from services.gateway.metrics import OPEN_GENERATIONS, REFUSED
from services.gateway.routing import Target, choose
from services.gateway.settings import GatewaySettings
from services.gateway.upstream.breakers import Attempt, Breakers, Failure, count_states
from services.gateway.upstream.calls import answered, is_cancelled, is_lost
from services.gateway.upstream.channels import Channels
from services.gateway.upstream.pulse import Pulse
from services.gateway.upstream.queues import Queues

log = logging.getLogger(__name__)

T = TypeVar("T")

_ENDED = "The engine that was answering has ended in the middle of this answer. Ask again."
_SHORT_CALL_SECONDS = 30.0
_RETRY_SECONDS = 5.0
_EMBED_PRIORITY = 0


class Replicas:
    """A replica that gives no answer is passed over for a while, as `Breakers` decides."""

    def __init__(self, settings: GatewaySettings, channels: Channels) -> None:
        self._settings = settings
        self._channels = channels
        self._outstanding: Counter[str] = Counter()
        self._addresses: dict[str, str] = {}
        self._breakers = Breakers(moved=count_states)
        self._queues = Queues(settings.max_queued_requests, settings.first_token_seconds)
        self._pulse = Pulse(self._lives, settings.silent_seconds)

    async def close(self) -> None:
        await self._pulse.close()

    async def forget_others(
        self, replicas: Iterable[ReplicaRecord], processes: Collection[str]
    ) -> None:
        """Lets go of what is not known any more, but of nothing that still answers somebody.

        A replica that was silent for too long is not known for a while, and may go on.
        """
        known = {replica.replica_id for replica in replicas}
        for replica_id in self._addresses.keys() - known:
            if not self._outstanding[replica_id]:
                del self._addresses[replica_id], self._outstanding[replica_id]
        self._queues.forget_others(self._addresses)
        self._breakers.forget_others({_peer(*of) for of in self._addresses.items()})
        await self._channels.close_others({*processes, *self._addresses.values()})

    async def generate(
        self, target: Target, request: pb.GenerateRequest, prefix: bytes
    ) -> AsyncGenerator[pb.GenerateResponse]:
        """Messages until the one with `finish`. Closing the generator cancels the RPC.

        A replica that cannot be reached or is full is replaced by another before the first
        message; never after, because the client may have seen a part. Nothing is sent where all
        are known to be full or gone. Raises Overloaded, EngineUnavailable, DeadlineExceeded and
        what the last replica raised.
        """
        left = {replica.replica_id: replica for replica in target.replicas}
        owner = request.context.request_id
        while True:
            places = self._with_room(self._admitted(left.values(), owner), request.priority)
            replica = self._chosen(places, owner, prefix)
            begun = False
            try:
                async with aclosing(self._once(replica, request)) as messages:
                    async for message in messages:
                        begun = True
                        yield message
                return
            except (EngineUnavailable, Overloaded):
                del left[replica.replica_id]
                if begun or not left:
                    raise

    async def embed(self, target: Target, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """As `generate`: a replica that cannot be reached or is full is replaced by another."""

        async def ask(replica: ReplicaRecord) -> pb.EmbedResponse:
            with self._queues.place(replica.replica_id, _EMBED_PRIORITY) as place:
                call = self._replica(replica).Embed(request)
                try:
                    with self._pulse.watching(replica, call.cancel):
                        answer = await answered(call, self._settings.first_token_seconds)
                except Overloaded as error:
                    raise self._refused(error, replica, place.refused) from None
                place.begun()
                return answer

        def with_room(replicas: Sequence[ReplicaRecord]) -> Sequence[ReplicaRecord]:
            return self._with_room(replicas, _EMBED_PRIORITY)

        return await self._first_answer(target, request.context.request_id, with_room, ask)

    async def tokenizer(self, replica: ReplicaRecord) -> bytes:
        """The model's tokenizer.json."""
        call = self._replica(replica).GetTokenizer(
            pb.GetTokenizerRequest(), timeout=_SHORT_CALL_SECONDS
        )
        try:
            return b"".join([chunk.data async for chunk in call])
        except grpc.aio.AioRpcError as error:
            raise _explained(error, replica) from None

    async def tokenize(self, target: Target, request: pb.TokenizeRequest) -> pb.TokenizeResponse:
        """Text to token ids, or back. A replica that cannot be reached is replaced by another."""

        async def ask(replica: ReplicaRecord) -> pb.TokenizeResponse:
            call = self._replica(replica).Tokenize(request)
            with self._pulse.watching(replica, call.cancel):
                return await answered(call, _SHORT_CALL_SECONDS)

        return await self._first_answer(target, "", lambda replicas: replicas, ask)

    async def _first_answer(
        self,
        target: Target,
        owner: str,
        with_room: Callable[[Sequence[ReplicaRecord]], Sequence[ReplicaRecord]],
        ask: Callable[[ReplicaRecord], Awaitable[T]],
    ) -> T:
        left = {replica.replica_id: replica for replica in target.replicas}
        while True:
            places = with_room(self._admitted(left.values(), owner))
            replica = self._chosen(places, owner, b"")
            try:
                with self._attempt(replica, owner) as attempt:
                    answer = await ask(replica)
                    attempt.heard()
                    return answer
            except (Unavailable, Overloaded):
                del left[replica.replica_id]
                if not left:
                    raise

    def _admitted(self, replicas: Iterable[ReplicaRecord], owner: str) -> Sequence[ReplicaRecord]:
        """Those that may be asked. Raises EngineUnavailable when none is to be asked now."""
        found = list(replicas)
        admitted = [r for r in found if self._breakers.admits(_key(r), owner)]
        if admitted:
            return admitted
        model = found[0].model
        REFUSED.labels(model, "gone").inc()
        raise EngineUnavailable(
            f"No engine of {model} answers at the moment; ask again a little later.",
            retry_after_seconds=min(self._breakers.wait_seconds(_key(r)) for r in found),
        )

    def _with_room(
        self, replicas: Sequence[ReplicaRecord], priority: int
    ) -> Sequence[ReplicaRecord]:
        """Raises Overloaded when all are full."""
        found = [r for r in replicas if self._queues.has_room(r.replica_id, priority)]
        if found:
            return found
        model = replicas[0].model
        REFUSED.labels(model, "full").inc()
        raise Overloaded(
            f"Too many requests wait for {model} already; ask again a little later.",
            retry_after_seconds=min(self._queues.retry_seconds(r.replica_id) for r in replicas),
        )

    def _chosen(
        self, replicas: Sequence[ReplicaRecord], owner: str, prefix: bytes
    ) -> ReplicaRecord:
        """One that was gone comes first: who else should find out that it is back?"""
        due = [r for r in replicas if self._breakers.is_due(_key(r), owner)]
        return due[0] if due else choose(replicas, self._outstanding, prefix)

    def _refused(
        self, error: Overloaded, replica: ReplicaRecord, tell: Callable[[float], None]
    ) -> Overloaded:
        """What a full replica raised, with a better guess of when to ask again."""
        tell(error.retry_after_seconds or 1.0)
        error.retry_after_seconds = self._queues.retry_seconds(replica.replica_id)
        return error

    @contextmanager
    def _attempt(self, replica: ReplicaRecord, owner: str) -> Generator[Attempt]:
        """One request to it, outstanding meanwhile; the breaker learns how it ends."""
        self._outstanding[replica.replica_id] += 1
        try:
            with self._breakers.attempt(_key(replica), owner) as attempt:
                try:
                    yield attempt
                except Unavailable:
                    attempt.failed(Failure.LOST)
                    raise
                except DeadlineExceeded:
                    attempt.failed(Failure.LATE)
                    raise
                except HearthError:
                    attempt.heard()
                    raise
        finally:
            self._outstanding[replica.replica_id] -= 1

    def _replica(self, replica: ReplicaRecord) -> rpc.ReplicaAsyncStub:
        self._addresses[replica.replica_id] = replica.address
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(self._channels.to(replica.address))
        return stub

    async def _lives(self, replica: ReplicaRecord) -> bool:
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(self._channels.to(replica.address))
        try:
            await answered(
                stub.GetStatus(pb.GetReplicaStatusRequest()), self._settings.silent_seconds
            )
        except (Unavailable, DeadlineExceeded):
            log.warning("replica does not live", extra={"replica_id": replica.replica_id})
            return False
        except HearthError:
            return True
        return True

    async def _once(
        self, replica: ReplicaRecord, request: pb.GenerateRequest
    ) -> AsyncGenerator[pb.GenerateResponse]:
        with (
            self._attempt(replica, request.context.request_id) as attempt,
            self._queues.place(replica.replica_id, request.priority) as place,
        ):
            call = self._replica(replica).Generate(request)
            OPEN_GENERATIONS.inc()
            try:
                with self._pulse.watching(replica, call.cancel):
                    message = await self._read(call, replica, begun=False)
                place.begun()
                while True:
                    attempt.heard()
                    yield message
                    if message.HasField("finish"):
                        return
                    message = await self._read(call, replica, begun=True)
            except Overloaded as error:
                raise self._refused(error, replica, place.refused) from None
            finally:
                call.cancel()
                OPEN_GENERATIONS.dec()

    async def _read(
        self,
        call: grpc.aio.UnaryStreamCall[pb.GenerateRequest, pb.GenerateResponse],
        replica: ReplicaRecord,
        *,
        begun: bool,
    ) -> pb.GenerateResponse:
        """The next message. Raises EngineUnavailable when the engine ended before its last."""
        settings = self._settings
        seconds = settings.next_token_seconds if begun else settings.first_token_seconds
        try:
            async with asyncio.timeout(seconds):
                message = await call.read()
        except grpc.aio.AioRpcError as error:
            raise _explained(error, replica, begun) from None
        except TimeoutError:
            which = "further" if begun else "first"
            raise DeadlineExceeded(
                f"The engine gave no {which} token within {seconds:g} s."
            ) from None
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            # The channel was closed under the call, or the replica was found dead.
            raise EngineUnavailable(_ENDED) if begun else _gone(replica) from None
        if not isinstance(message, pb.GenerateResponse):
            raise EngineUnavailable(_ENDED)
        if message.finish.reason == pb.FINISH_REASON_ABORTED:
            raise EngineUnavailable(_ENDED)
        return message


def _key(replica: ReplicaRecord) -> str:
    return _peer(replica.replica_id, replica.address)


def _peer(replica_id: str, address: str) -> str:
    """One that was started again is another peer."""
    return f"{replica_id}@{address}"


def _gone(replica: ReplicaRecord) -> EngineUnavailable:
    return EngineUnavailable(
        f"The engine of {replica.model} does not answer; it is being started again.",
        retry_after_seconds=_RETRY_SECONDS,
    )


def _explained(
    error: grpc.aio.AioRpcError, replica: ReplicaRecord, begun: bool = False
) -> HearthError:
    gone = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    if error.code() not in gone and not is_lost(error):
        return translate_rpc_error(error)
    log.warning(
        "replica does not answer",
        extra={"replica_id": replica.replica_id, "reason": error.details(), "begun": begun},
    )
    return EngineUnavailable(_ENDED) if begun else _gone(replica)
