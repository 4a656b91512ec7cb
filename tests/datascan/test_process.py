"""The whole way, by real processes on real Redis: upload, scan, verdicts, dataset."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator

import grpc.aio
import pytest
import pytest_asyncio

from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.pb.v1 import datascan_pb2 as pb
from services.cluster.registry import Registry
from services.cluster.settings import ClusterSettings
from services.cluster.store.connection import Store
from tests.datascan.archives import program, zipped
from tests.datascan.running import DatascanHost, ended, scan_when, upload

MODEL = "test/echo"


@pytest_asyncio.fixture
async def host(store: Store, settings: ClusterSettings) -> AsyncIterator[DatascanHost]:
    host = DatascanHost(settings, Registry(store))
    yield host
    if host.process and host.process.returncode is None:
        host.process.kill()
        await host.process.wait()


def create(name: str = "web", **spec: object) -> pb.CreateProjectRequest:
    return pb.CreateProjectRequest(
        team_id="team",
        spec=pb.ProjectSpec(name=name, **spec),  # type: ignore[arg-type]
    )


def lines(host: DatascanHost, dataset_id: str, name: str) -> list[dict[str, str]]:
    folder = ArtifactStore(host.settings.data_dir).path(ArtifactKind.DATASET, dataset_id)
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


async def test_an_upload_becomes_a_dataset_by_itself(host: DatascanHost) -> None:
    stub = await host.start()
    project = await stub.CreateProject(create())
    files = {f"src/m{seed}.py": program(seed) for seed in range(20)}
    files |= {
        "src/copy.py": files["src/m0.py"],
        "../evil.py": "print()\n",
        "src/numbers.py": "x = [1234567890, 9876543210, 1111111111]\n",
    }
    archive = zipped({**files, "logo.png": b"\x89PNG\0\0"})
    watching = aiter(stub.WatchSources(pb.WatchSourcesRequest(project_id=project.project_id)))
    assert await anext(watching) == pb.SourceEvent()
    source = await stub.UploadSource(upload(project.project_id, "web app.zip", archive))
    assert (source.spec.name, source.kind) == ("web-app", pb.SOURCE_KIND_ARCHIVE)
    assert (await anext(watching)).source.source_id == source.source_id

    scan = await scan_when(stub, project.project_id, ended)
    assert (scan.status, scan.trigger) == (pb.SCAN_STATUS_SUCCEEDED, pb.SCAN_TRIGGER_SOURCES)
    assert "no base model" in scan.loss_skipped_reason
    assert (scan.counts.num_files, scan.counts.num_accepted_files) == (24, 20)
    answer = await stub.ListVerdicts(
        pb.ListVerdictsRequest(scan_id=scan.scan_id, accepted=False, order=pb.VERDICT_ORDER_PATH)
    )
    assert {(v.path, pb.VerdictReason.Name(v.reason)) for v in answer.verdicts} == {
        ("web-app/../evil.py", "VERDICT_REASON_LINGUIST_ERROR"),
        ("web-app/logo.png", "VERDICT_REASON_NOT_TEXT"),
        ("web-app/src/copy.py", "VERDICT_REASON_DUPLICATE"),
        ("web-app/src/numbers.py", "VERDICT_REASON_DIGITS"),
    }
    assert all(verdict.detail.endswith(".") for verdict in answer.verdicts)
    numbers = next(v for v in answer.verdicts if v.path.endswith("numbers.py"))
    file = await stub.GetFile(
        pb.GetFileRequest(scan_id=scan.scan_id, file_number=numbers.file_number)
    )
    assert file.text == files["src/numbers.py"]

    dataset = await stub.GetDataset(pb.GetDatasetRequest(dataset_id=scan.dataset_id))
    train = lines(host, scan.dataset_id, "train.jsonl")
    test = lines(host, scan.dataset_id, "test.jsonl")
    assert (dataset.train.num_files, dataset.test.num_files) == (len(train), len(test))
    assert len(test) >= 1
    assert {entry["text"] for entry in train + test} == {program(seed) for seed in range(20)}
    assert {entry["language"] for entry in train} == {"Python"}
    watched = [event async for event in stub.WatchScan(pb.WatchScanRequest(scan_id=scan.scan_id))]
    assert watched[-1].scan.dataset_id == scan.dataset_id
    shown = await stub.GetSource(pb.GetSourceRequest(source_id=source.source_id))
    assert (shown.scan_id, shown.num_files, shown.num_accepted_files) == (scan.scan_id, 24, 20)

    await stub.DeleteProject(pb.DeleteProjectRequest(project_id=project.project_id))
    left = [p for p in host.settings.data_dir.rglob("*") if p.is_file() and "log" not in p.name]
    # The fence of the scan stays for an attempt that may still sleep, until it is collected.
    assert {place.name for place in left} <= {"datascan.lock", "datascan.out", scan.scan_id}
    assert await host.end(signal.SIGTERM) == 0


async def test_a_killed_scan_is_finished_as_the_same_job_with_one_dataset(
    host: DatascanHost,
) -> None:
    stub = await host.start()
    project = await stub.CreateProject(create())
    archive = zipped({f"m{seed}.py": program(seed) for seed in range(2000)})
    await stub.UploadSource(upload(project.project_id, "big.zip", archive))
    first = await scan_when(
        stub,
        project.project_id,
        lambda scan: scan.status == pb.SCAN_STATUS_RUNNING and scan.counts.num_files > 0,
    )
    await host.end(signal.SIGKILL)
    stub = await host.start()
    scan = await scan_when(stub, project.project_id, ended)
    assert (scan.scan_id, scan.status) == (first.scan_id, pb.SCAN_STATUS_SUCCEEDED)
    assert scan.attempt == 2
    assert scan.counts.num_files == 2000
    assert 0 < scan.progress.num_judged_files < 2000
    datasets = await stub.ListDatasets(pb.ListDatasetsRequest(project_id=project.project_id))
    assert [dataset.dataset_id for dataset in datasets.datasets] == [scan.dataset_id]
    stored = ArtifactStore(host.settings.data_dir).manifests(ArtifactKind.DATASET)
    assert [manifest.artifact_id for manifest in stored] == [scan.dataset_id]
    assert not list((host.settings.data_dir / "drafts").iterdir())


async def test_a_running_scan_is_cancelled(host: DatascanHost) -> None:
    stub = await host.start()
    project = await stub.CreateProject(create(manual_scans=True))
    archive = zipped({f"m{seed}.py": program(seed) for seed in range(3000)})
    await stub.UploadSource(upload(project.project_id, "big.zip", archive))
    scan = await stub.StartScan(pb.StartScanRequest(project_id=project.project_id))
    await scan_when(stub, project.project_id, lambda scan: scan.counts.num_files > 0)
    await stub.CancelScan(pb.CancelScanRequest(scan_id=scan.scan_id))
    scan = await scan_when(stub, project.project_id, ended)
    assert scan.status == pb.SCAN_STATUS_CANCELLED
    assert not (
        await stub.ListDatasets(pb.ListDatasetsRequest(project_id=project.project_id))
    ).datasets
    with pytest.raises(grpc.aio.AioRpcError, match="cancelled already"):
        await stub.CancelScan(pb.CancelScanRequest(scan_id=scan.scan_id))


async def test_a_broken_upload_is_refused_and_leaves_nothing(host: DatascanHost) -> None:
    stub = await host.start()
    project = await stub.CreateProject(create())
    whole = zipped({"a.py": program(1)})
    for name, content, word in (
        ("a.zip", whole[:-30], "cannot be opened"),
        ("a.zip", b"", "is empty"),
        ("a.zip", zipped({}), "no file in it"),
        ("a.tar.gz", b"no archive", "cannot be read"),
        ("a.7z", b"7z", "not read here"),
    ):
        with pytest.raises(grpc.aio.AioRpcError, match=word) as caught:
            await stub.UploadSource(upload(project.project_id, name, content))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    call = stub.UploadSource(upload(project.project_id, "a.zip", whole, total_bytes=10**12))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert not list((host.settings.data_dir / "drafts").glob("*"))
    assert not (host.settings.data_dir / "sources").exists()
    assert not (
        await stub.ListSources(pb.ListSourcesRequest(project_id=project.project_id))
    ).sources
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.CreateSource(pb.CreateSourceRequest(project_id=project.project_id))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await asyncio.sleep(0)
