"""The replicas: which one answers, and what each has outstanding from this gateway."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import aclosing

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
from services.gateway.metrics import OPEN_GENERATIONS
from services.gateway.routing import Target, choose
from services.gateway.settings import GatewaySettings
from services.gateway.upstream.calls import answered, is_cancelled
from services.gateway.upstream.channels import Channels

log = logging.getLogger(__name__)

_ENDED = "The engine that was answering has ended in the middle of this answer. Ask again."
_SHORT_CALL_SECONDS = 30.0
# A replica that did not answer gets no request for so long, unless there is no other.
_SUSPECT_SECONDS = 3.0


class Replicas:
    def __init__(self, settings: GatewaySettings, channels: Channels) -> None:
        self._settings = settings
        self._channels = channels
        self._outstanding: Counter[str] = Counter()
        self._addresses: dict[str, str] = {}
        self._suspect_until: dict[str, float] = {}

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
                self._suspect_until.pop(replica_id, None)
        await self._channels.close_others({*processes, *self._addresses.values()})

    async def generate(
        self, target: Target, request: pb.GenerateRequest, prefix: bytes
    ) -> AsyncGenerator[pb.GenerateResponse]:
        """Messages until the one with `finish`. Closing the generator cancels the RPC.

        A replica that cannot be reached or is full is replaced by another before the first
        message; never after, because the client may have seen a part. Raises what the last one
        raised, EngineUnavailable and DeadlineExceeded.
        """
        left = {replica.replica_id: replica for replica in target.replicas}
        while True:
            replica = choose(self._trusted(left.values()), self._outstanding, prefix)
            begun = False
            try:
                async with aclosing(self._once(replica, request)) as messages:
                    async for message in messages:
                        begun = True
                        yield message
                return
            except (EngineUnavailable, Overloaded) as error:
                if isinstance(error, EngineUnavailable):
                    self._suspect_until[replica.replica_id] = time.monotonic() + _SUSPECT_SECONDS
                del left[replica.replica_id]
                if begun or not left:
                    raise

    async def embed(self, target: Target, request: pb.EmbedRequest) -> pb.EmbedResponse:
        """As `generate`: a replica that cannot be reached or is full is replaced by another."""
        left = {replica.replica_id: replica for replica in target.replicas}
        while True:
            replica = choose(self._trusted(left.values()), self._outstanding, b"")
            self._outstanding[replica.replica_id] += 1
            try:
                call = self._replica(replica).Embed(request)
                return await answered(call, self._settings.first_token_seconds)
            except (Unavailable, Overloaded) as error:
                if isinstance(error, Unavailable):
                    self._suspect_until[replica.replica_id] = time.monotonic() + _SUSPECT_SECONDS
                del left[replica.replica_id]
                if not left:
                    raise
            finally:
                self._outstanding[replica.replica_id] -= 1

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
        """Text to token ids, or back."""
        replica = choose(self._trusted(target.replicas), self._outstanding, b"")
        call = self._replica(replica).Tokenize(request, timeout=_SHORT_CALL_SECONDS)
        try:
            response: pb.TokenizeResponse = await call
            return response
        except grpc.aio.AioRpcError as error:
            raise _explained(error, replica) from None

    def _trusted(self, replicas: Iterable[ReplicaRecord]) -> list[ReplicaRecord]:
        found, now = list(replicas), time.monotonic()
        return [r for r in found if self._suspect_until.get(r.replica_id, 0.0) < now] or found

    def _replica(self, replica: ReplicaRecord) -> rpc.ReplicaAsyncStub:
        self._addresses[replica.replica_id] = replica.address
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(self._channels.to(replica.address))
        return stub

    async def _once(
        self, replica: ReplicaRecord, request: pb.GenerateRequest
    ) -> AsyncGenerator[pb.GenerateResponse]:
        call = self._replica(replica).Generate(request)
        self._outstanding[replica.replica_id] += 1
        OPEN_GENERATIONS.inc()
        begun = False
        try:
            while True:
                message = await self._read(call, begun)
                if message is None or message.finish.reason == pb.FINISH_REASON_ABORTED:
                    raise EngineUnavailable(_ENDED)
                begun = True
                yield message
                if message.HasField("finish"):
                    return
        except grpc.aio.AioRpcError as error:
            raise _explained(error, replica, begun) from None
        finally:
            call.cancel()
            OPEN_GENERATIONS.dec()
            self._outstanding[replica.replica_id] -= 1

    async def _read(
        self,
        call: grpc.aio.UnaryStreamCall[pb.GenerateRequest, pb.GenerateResponse],
        begun: bool,
    ) -> pb.GenerateResponse | None:
        """The next message, None at the end."""
        settings = self._settings
        seconds = settings.next_token_seconds if begun else settings.first_token_seconds
        try:
            async with asyncio.timeout(seconds):
                message = await call.read()
        except TimeoutError:
            which = "further" if begun else "first"
            raise DeadlineExceeded(
                f"The engine gave no {which} token within {seconds:g} s."
            ) from None
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            raise EngineUnavailable(_ENDED) from None  # the channel was closed under the call
        return message if isinstance(message, pb.GenerateResponse) else None


def _explained(
    error: grpc.aio.AioRpcError, replica: ReplicaRecord, begun: bool = False
) -> HearthError:
    translated = translate_rpc_error(error)
    gone = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    if error.code() not in gone:
        return translated
    log.warning(
        "replica does not answer",
        extra={"replica_id": replica.replica_id, "reason": error.details(), "begun": begun},
    )
    if begun:
        return EngineUnavailable(_ENDED)
    return EngineUnavailable(
        f"The engine of {replica.model} does not answer; it is being started again.",
        retry_after_seconds=5,
    )
