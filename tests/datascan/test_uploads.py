from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from services.cluster import project_scripts as scripts
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import (
    BadRequest,
    DeadlineExceeded,
    NotFound,
    PayloadTooLarge,
    StoreUnavailable,
)
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.project_records import ProjectRecord, SourceSplit
from services.cluster.projects import Projects
from services.cluster.settings import ClusterSettings
from services.cluster.sources import Sources
from services.cluster.store.connection import Store
from services.datascan.settings import DatascanSettings
from services.datascan.uploads import CONTENT, Uploads, delete_content
from tests.datascan.archives import tarred, zipped
from tests.datascan.running import upload


class Case:
    def __init__(self, store: Store, settings: ClusterSettings, **limits: float) -> None:
        own = DatascanSettings(
            redis_url=settings.redis_url,
            data_dir=settings.data_dir,
            cluster_key=settings.cluster_key,
            **limits,  # type: ignore[arg-type]
        )
        self.artifacts = ArtifactStore(settings.data_dir)
        self.projects, self.sources = Projects(store), Sources(store)
        self.uploads = Uploads(own, self.projects, self.sources, self.artifacts)

    async def begin(self) -> None:
        await self.projects.create(
            ProjectRecord(project_id="p", team_id="t", name="n", created_at=1, updated_at=1)
        )

    async def left_nothing(self) -> bool:
        drafts = self.artifacts.root / "drafts"
        return (
            not (drafts.exists() and list(drafts.iterdir()))
            and not self.artifacts.manifests(ArtifactKind.SOURCE)
            and not await self.sources.all("p")
        )


async def test_an_upload_is_kept_byte_by_byte(store: Store, settings: ClusterSettings) -> None:
    case = Case(store, settings)
    await case.begin()
    content = zipped({"a.py": "x = 1", "b/": "", "b/c.py": "y = 2"})
    sha256 = hashlib.sha256(content).hexdigest()
    spec = pb.SourceSpec(split=pb.SOURCE_SPLIT_TEST)
    source = await case.uploads.take(
        upload("p", "../../etc/my code.zip", content, sha256=sha256, spec=spec)
    )
    assert (source.name, source.split, source.num_entries) == ("etc-my-code", SourceSplit.TEST, 2)
    assert (source.sha256, source.size_bytes) == (sha256, len(content))
    folder = case.artifacts.path(ArtifactKind.SOURCE, source.artifact_id)
    assert (folder / CONTENT).read_bytes() == content
    assert await case.sources.get(source.source_id) == source


TAR = tarred({"a.py": "x = 1" * 200}, "w:gz")


@pytest.mark.parametrize(
    ("messages", "kind", "word"),
    [
        (upload("p", "a.py", b""), BadRequest, "is empty"),
        (upload("p", "", b"x"), BadRequest, "file_name"),
        (upload("p", "x" * 256, b"x"), BadRequest, "file_name"),
        (upload("p", "a.py", b"x", sha256="0" * 64), BadRequest, "do not match"),
        (upload("p", "a.py", b"xyz", total_bytes=5), BadRequest, "5 bytes were announced and 3"),
        (upload("p", "a.py", b"x" * 3000), PayloadTooLarge, "2048 bytes"),
        (upload("p", "a.py", b"x", total_bytes=3000), PayloadTooLarge, "MAX_SOURCE_BYTES"),
        (upload("p", "a.tar.gz", TAR[:-10]), BadRequest, "cannot be read"),
        (upload("p", "a.zip", zipped({"d/": ""})), BadRequest, "no file in it"),
        (upload("p", "a.zip", TAR), BadRequest, "cannot be opened"),
        (upload("p", "a.py", b"x", idempotency_key="k" * 65), BadRequest, "idempotency_key"),
        (upload("p", "a.py", b"x", spec=pb.SourceSpec(name="a b")), BadRequest, "is no name"),
        (
            upload("p", "a.py", b"x", spec=pb.SourceSpec(git=pb.GitOrigin(url="u"))),
            BadRequest,
            "no origin",
        ),
        (upload("p2", "a.py", b"x"), NotFound, "no project p2"),
        (upload("p", "a.py", b"x", replaced_source_id="s9"), NotFound, "no source s9"),
    ],
)
async def test_what_is_refused_leaves_nothing(
    store: Store,
    settings: ClusterSettings,
    messages: AsyncIterator[pb.UploadSourceRequest],
    kind: type[Exception],
    word: str,
) -> None:
    case = Case(store, settings, max_source_bytes=2048)
    await case.begin()
    with pytest.raises(kind, match=word):
        await case.uploads.take(messages)
    assert await case.left_nothing()


async def test_a_stream_without_a_header_or_with_two_is_refused(
    store: Store, settings: ClusterSettings
) -> None:
    case = Case(store, settings)
    await case.begin()

    async def stream(*messages: pb.UploadSourceRequest) -> AsyncIterator[pb.UploadSourceRequest]:
        for message in messages:
            yield message

    header = [message async for message in upload("p", "a.py", b"")][0]
    for messages in ((), (pb.UploadSourceRequest(chunk=b"x"),), (header, header)):
        with pytest.raises(BadRequest):
            await case.uploads.take(stream(*messages))
    assert await case.left_nothing()


async def test_an_upload_that_breaks_off_or_falls_silent_leaves_nothing(
    store: Store, settings: ClusterSettings
) -> None:
    case = Case(store, settings, upload_seconds=0.2)
    await case.begin()
    begun = asyncio.Event()

    async def halting() -> AsyncIterator[pb.UploadSourceRequest]:
        async for message in upload("p", "a.py", b"x" * 1000):
            yield message
        begun.set()
        await asyncio.Event().wait()

    with pytest.raises(DeadlineExceeded, match="silent"):
        await case.uploads.take(halting())
    assert await case.left_nothing()
    patient = Case(store, settings)
    begun.clear()
    task = asyncio.create_task(patient.uploads.take(halting()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await case.left_nothing()


async def test_a_bomb_is_taken_as_it_is(store: Store, settings: ClusterSettings) -> None:
    """Its verdict says what is wrong; nothing of it was unpacked to the disk."""
    case = Case(store, settings)
    await case.begin()
    bomb = tarred({"a.py": "a", "zeros": b"\0" * 30_000_000}, "w:gz")
    source = await case.uploads.take(upload("p", "bomb.tgz", bomb))
    assert source.num_entries >= 2
    size_bytes = sum(place.stat().st_size for place in settings.data_dir.rglob("*"))
    assert size_bytes < 1_000_000


class LateStore(Store):
    """Writes a source and then answers late: the client asks again, or gives up."""

    gives_up = False

    async def run(self, source: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        answer = await super().run(source, keys, args)
        if source not in (scripts.ADD_SOURCE, scripts.CHANGE_SOURCE):
            return answer
        if self.gives_up:
            raise StoreUnavailable("late")
        return await super().run(source, keys, args)


@pytest.mark.parametrize("gives_up", [False, True])
async def test_a_late_answer_loses_no_bytes_that_a_record_names(
    store: Store, settings: ClusterSettings, gives_up: bool
) -> None:
    late = LateStore(store.redis)
    late.gives_up = gives_up
    case = Case(late, settings)
    await case.begin()
    replaced = ""
    for content in (b"x = 1", b"x = 2"):
        messages = upload("p", "a.py", content, replaced_source_id=replaced)
        if gives_up:
            with pytest.raises(StoreUnavailable):
                await case.uploads.take(messages)
        else:
            await case.uploads.take(messages)
        ((source, _),) = await case.sources.all("p")
        folder = case.artifacts.path(ArtifactKind.SOURCE, source.artifact_id)
        assert (folder / CONTENT).read_bytes() == content
        replaced = source.source_id
    # The replaced bytes are kept when nobody can say that they were replaced.
    assert len(case.artifacts.manifests(ArtifactKind.SOURCE)) == (2 if gives_up else 1)


async def test_a_source_or_project_deleted_during_an_upload_stays_deleted(
    store: Store, settings: ClusterSettings
) -> None:
    case = Case(store, settings)
    await case.begin()
    source = await case.uploads.take(upload("p", "a.py", b"x = 1"))

    async def replacing() -> AsyncIterator[pb.UploadSourceRequest]:
        async for message in upload("p", "a.py", b"x", replaced_source_id=source.source_id):
            yield message
        deleted = await case.sources.delete(source.source_id)
        delete_content(case.artifacts, deleted.artifact_id)

    with pytest.raises(NotFound, match="no source"):
        await case.uploads.take(replacing())
    assert await case.left_nothing()

    async def adding() -> AsyncIterator[pb.UploadSourceRequest]:
        async for message in upload("p", "a.py", b"x"):
            yield message
        await case.projects.delete("p")

    with pytest.raises(NotFound, match="no project"):
        await case.uploads.take(adding())
    await case.begin()
    assert await case.left_nothing()
