from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.servicer import ArtifactsServicer
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, NotFound, Unauthenticated
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.pb.v1 import artifacts_pb2_grpc as rpc
from services.cluster.rpc import RpcServer, open_channel, translate_rpc_error
from services.cluster.settings import ClusterSettings


@pytest.fixture
async def address(settings: ClusterSettings) -> AsyncIterator[str]:
    server = RpcServer(settings)
    servicer = ArtifactsServicer(ArtifactStore(settings.data_dir))
    server.add("hearth.v1.Artifacts", rpc.add_ArtifactsServicer_to_server, servicer)
    yield await server.start()
    await server.stop(0)


async def put(stub: rpc.ArtifactsAsyncStub, data: bytes, sha256: str = "") -> pb.ArtifactManifest:
    manifest = pb.ArtifactManifest(
        kind=pb.ARTIFACT_KIND_ADAPTER,
        artifact_id="a1",
        files=[pb.ArtifactFile(path="w", sha256=sha256 or hashlib.sha256(data).hexdigest())],
        labels={"model": "m"},
    )

    async def parts() -> AsyncIterator[pb.PutArtifactRequest]:
        yield pb.PutArtifactRequest(manifest=manifest)
        for start in range(0, len(data), 1000):
            chunk = pb.ArtifactChunk(path="w", offset_bytes=start, data=data[start : start + 1000])
            yield pb.PutArtifactRequest(chunk=chunk)

    return await stub.PutArtifact(parts())


async def test_an_artifact_travels_whole(address: str, settings: ClusterSettings) -> None:
    content = bytes(range(256)) * 20
    async with open_channel(address, settings) as channel:
        stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
        manifest = await put(stub, content)
        assert manifest.files[0].size_bytes == 5120
        request = pb.GetArtifactRequest(kind=pb.ARTIFACT_KIND_ADAPTER, artifact_id="a1")
        data = b"".join([chunk.data async for chunk in stub.GetArtifact(request)])
        assert data == content
        listed = await stub.ListArtifacts(pb.ListArtifactsRequest(kind=pb.ARTIFACT_KIND_ADAPTER))
        assert [m.labels["model"] for m in listed.manifests] == ["m"]


async def test_errors_keep_their_class_and_sentence(
    address: str, settings: ClusterSettings
) -> None:
    async with open_channel(address, settings) as channel:
        stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await put(stub, b"x" * 10, sha256="0" * 64)
        error = translate_rpc_error(refused.value)
        assert isinstance(error, BadRequest)
        assert "did not arrive whole" in error.message
        assert ArtifactStore(settings.data_dir).manifests(ArtifactKind.ADAPTER) == []
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await stub.GetManifest(
                pb.GetManifestRequest(kind=pb.ARTIFACT_KIND_ADAPTER, artifact_id="a9")
            )
        assert isinstance(translate_rpc_error(missing.value), NotFound)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x" * 100_000, "xxx…"),
        ("ü" * 100_000, "ü…"),
        ("half of a pair: \ud800", "half of a pair: ?"),
    ],
    ids=["long", "long as UTF-8", "no UTF-8"],
)
async def test_a_sentence_that_grpc_cannot_carry_is_told_as_far_as_it_can(
    settings: ClusterSettings, text: str, told: str
) -> None:
    class Refusing(rpc.ArtifactsServicer):
        async def GetManifest(self, request: object, context: object) -> pb.ArtifactManifest:
            raise BadRequest(text)

    server = RpcServer(settings)
    refusing = Refusing()  # type: ignore[abstract]
    server.add("hearth.v1.Artifacts", rpc.add_ArtifactsServicer_to_server, refusing)
    async with open_channel(await server.start(), settings) as channel:
        stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetManifest(pb.GetManifestRequest(), timeout=10)
    await server.stop(0)
    error = translate_rpc_error(refused.value)
    assert isinstance(error, BadRequest)
    assert error.message.endswith(told)


async def test_a_caller_without_the_cluster_key_sees_only_health(
    address: str, settings: ClusterSettings
) -> None:
    stranger = settings.model_copy(update={"cluster_key": SecretStr("other")})
    async with open_channel(address, stranger) as channel:
        stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListArtifacts(pb.ListArtifactsRequest(kind=pb.ARTIFACT_KIND_ADAPTER))
        assert isinstance(translate_rpc_error(refused.value), Unauthenticated)
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_an_unreachable_process_is_unavailable(settings: ClusterSettings) -> None:
    async with open_channel("127.0.0.1:1", settings) as channel:
        stub: rpc.ArtifactsAsyncStub = rpc.ArtifactsStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ListArtifacts(pb.ListArtifactsRequest())
        assert translate_rpc_error(refused.value).http_status == 503
