"""When a caller of another host's store tries again, and when it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.remote import RemoteArtifacts
from services.cluster.artifacts.servicer import ArtifactsServicer
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import HearthError, Unavailable
from services.cluster.pb.v1 import artifacts_pb2 as pb
from services.cluster.rpc import open_channel
from tests.cluster.artifacts.head import serving, settings_of

ADAPTER = ArtifactKind.ADAPTER


@pytest.fixture
def here(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path / "here")
    with store.draft(ADAPTER, "a1") as draft:
        draft.file("w").write_bytes(b"w" * 100)
        draft.publish()
    return store


async def test_a_host_that_stays_away_is_unavailable(here: ArtifactStore, tmp_path: Path) -> None:
    async with open_channel("127.0.0.1:1", settings_of(tmp_path)) as channel:
        remote = RemoteArtifacts(channel, num_tries=2)
        for call in (
            remote.put(here.path(ADAPTER, "a1"), here.manifest(ADAPTER, "a1")),
            remote.fetch(ADAPTER, "a1", ArtifactStore(tmp_path / "back")),
        ):
            with pytest.raises(HearthError) as away:
                await call
            assert isinstance(away.value, Unavailable)


class Failing(ArtifactsServicer):
    """Its first answer is INTERNAL: of gRPC itself, as for a message cut in two, or its own."""

    def __init__(self, store: ArtifactStore, *, own: bool) -> None:
        super().__init__(store, reserve_bytes=0)
        self._own = own
        self.num_calls = 0

    async def GetManifest(
        self, request: pb.GetManifestRequest, context: Any
    ) -> pb.ArtifactManifest:
        self.num_calls += 1
        if self.num_calls == 1 and self._own:
            raise RuntimeError("a fault of the head")
        if self.num_calls == 1:
            await context.abort(grpc.StatusCode.INTERNAL, "Internal error from Core")
        return await super().GetManifest(request, context)


@pytest.mark.parametrize("own", [False, True])
async def test_a_message_cut_in_two_is_repeated_and_a_fault_of_the_head_is_not(
    here: ArtifactStore, tmp_path: Path, own: bool
) -> None:
    servicer, settings = Failing(here, own=own), settings_of(tmp_path)
    back = ArtifactStore(tmp_path / "back")
    async with serving(servicer, settings) as address, open_channel(address, settings) as channel:
        remote = RemoteArtifacts(channel, reserve_bytes=0)
        if own:
            with pytest.raises(HearthError, match="fault of its own"):
                await remote.fetch(ADAPTER, "a1", back)
        else:
            await remote.fetch(ADAPTER, "a1", back)
    assert servicer.num_calls == (1 if own else 2)
    assert (back.ids(ADAPTER) == []) == own
