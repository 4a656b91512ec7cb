"""The processes that the gateway dials: replicas and agents, over channels that stay open."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterable
from contextlib import aclosing
from typing import TypeVar

import grpc
import grpc.aio

from services.cluster.errors import DeadlineExceeded, EngineUnavailable, HearthError, Overloaded
from services.cluster.pb.v1 import artifacts_pb2 as artifacts
from services.cluster.pb.v1 import artifacts_pb2_grpc, inference_pb2_grpc
from services.cluster.pb.v1 import replica_pb2 as pb
from services.cluster.pb.v1 import replica_pb2_grpc as rpc
from services.cluster.records import ReplicaRecord
from services.cluster.rpc import open_channel, translate_rpc_error
from services.gateway.metrics import OPEN_GENERATIONS
from services.gateway.routing import Target, choose
from services.gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

_ENDED = "The engine that was answering has ended in the middle of this answer. Ask again."
_SHORT_CALL_SECONDS = 30.0
# A replica that did not answer gets no request for so long, unless there is no other.
_SUSPECT_SECONDS = 3.0

T = TypeVar("T")


class Upstream:
    """Counts what each replica has outstanding from this gateway."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._outstanding: Counter[str] = Counter()
        self._addresses: dict[str, str] = {}
        self._suspect_until: dict[str, float] = {}

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close()

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
        used = {*processes, *self._addresses.values()}
        for address in self._channels.keys() - used:
            await self._channels.pop(address).close()

    def agent(self, address: str) -> inference_pb2_grpc.InferenceAsyncStub:
        stub: inference_pb2_grpc.InferenceAsyncStub
        stub = inference_pb2_grpc.InferenceStub(self._channel(address))
        return stub

    async def put_artifact(
        self, address: str, parts: Iterable[artifacts.PutArtifactRequest]
    ) -> artifacts.ArtifactManifest:
        """Stores an artifact with the agent at `address`. Raises what the agent raised."""
        stub: artifacts_pb2_grpc.ArtifactsAsyncStub
        stub = artifacts_pb2_grpc.ArtifactsStub(self._channel(address))
        return await answered(stub.PutArtifact(_in_threads(parts)))

    async def delete_artifact(
        self, address: str, kind: artifacts.ArtifactKind.ValueType, artifact_id: str
    ) -> None:
        """At the agent at `address`. Raises what the agent raised."""
        stub: artifacts_pb2_grpc.ArtifactsAsyncStub
        stub = artifacts_pb2_grpc.ArtifactsStub(self._channel(address))
        request = artifacts.DeleteArtifactRequest(kind=kind, artifact_id=artifact_id)
        await answered(stub.DeleteArtifact(request))

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

    async def tokenizer(self, replica: ReplicaRecord) -> bytes:
        """The model's tokenizer.json."""
        call = self._replica(replica).GetTokenizer(
            pb.GetTokenizerRequest(), timeout=_SHORT_CALL_SECONDS
        )
        try:
            return b"".join([chunk.data async for chunk in call])
        except grpc.aio.AioRpcError as error:
            raise _explained(error, replica) from None

    async def text_of(self, target: Target, token_ids: Iterable[int]) -> str:
        """The text that token ids stand for."""
        replica = choose(self._trusted(target.replicas), self._outstanding, b"")
        request = pb.TokenizeRequest(tokens=pb.TokenIds(ids=token_ids))
        call = self._replica(replica).Tokenize(request, timeout=_SHORT_CALL_SECONDS)
        try:
            return (await call).text
        except grpc.aio.AioRpcError as error:
            raise _explained(error, replica) from None

    def _trusted(self, replicas: Iterable[ReplicaRecord]) -> list[ReplicaRecord]:
        found, now = list(replicas), time.monotonic()
        return [r for r in found if self._suspect_until.get(r.replica_id, 0.0) < now] or found

    def _replica(self, replica: ReplicaRecord) -> rpc.ReplicaAsyncStub:
        self._addresses[replica.replica_id] = replica.address
        stub: rpc.ReplicaAsyncStub = rpc.ReplicaStub(self._channel(replica.address))
        return stub

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = open_channel(address, self._settings)
        return self._channels[address]

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
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise EngineUnavailable(_ENDED) from None  # the channel was closed under the call
        return message if isinstance(message, pb.GenerateResponse) else None


async def answered(call: Awaitable[T]) -> T:
    """The answer of a unary RPC. Raises what the peer raised."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise translate_rpc_error(error) from None


async def _in_threads(parts: Iterable[T]) -> AsyncGenerator[T]:
    """An iterator that reads files, one step at a time outside the event loop."""
    iterator, end = iter(parts), object()
    while (part := await asyncio.to_thread(next, iterator, end)) is not end:
        yield part  # type: ignore[misc]  # `end` is no part


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
