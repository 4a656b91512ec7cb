from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.cluster.durable_files import sha256_of
from services.cluster.errors import Conflict, NotFound, OutOfDisk
from services.cluster.jobs.queue import JobQueue
from services.cluster.jobs.records import JobStatus
from services.cluster.store.connection import Store
from services.inference.models.reading import read_model
from services.inference.weights.download import Download
from services.inference.weights.downloads import Downloads, WeightsState
from services.inference.weights.hub import Hub
from services.inference.weights.places import MANIFEST, WeightsPlace
from tests.inference.weights.conftest import BIG, MODEL, SOON, Host, host
from tests.inference.weights.hub_double import COMMIT, HubDouble

KIB = 1024


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await true():
            await asyncio.sleep(0.01)


async def ended(queue: JobQueue, job_id: str) -> JobStatus:
    async for _ in queue.events(job_id):
        pass
    return (await queue.get(job_id)).status


async def test_a_model_is_judged_before_its_weights_and_then_fetched_whole(
    here: Host, hub: HubDouble, model_folder: Path
) -> None:
    size = (model_folder / BIG).stat().st_size
    record = await here.added()
    assert (record.origin, record.hub_id, record.host_id) == ("hub", MODEL, "")
    assert record.num_parameters == 1_000_080
    assert hub.served(BIG) < size / 10
    status = await here.weights.downloads.status(record)
    assert status.state is WeightsState.ABSENT
    assert not here.place(record).whole.exists()
    await here.downloaded(record)
    folder = record.folder(here.data_dir)
    for place in model_folder.iterdir():
        assert (folder / place.name).exists() == (place.suffix != ".py"), place
    assert sha256_of(folder / BIG) == sha256_of(model_folder / BIG)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert {f["path"]: f["sha256"] for f in manifest["files"]}[BIG] == sha256_of(folder / BIG)
    again = read_model(MODEL, folder, origin="hub")
    assert (again.num_parameters, again.weights_bytes) == (
        record.num_parameters,
        record.weights_bytes,
    )
    assert sorted(place.name for place in folder.parent.iterdir()) == [record.commit]
    asked = len(hub.requests)
    await here.downloaded(record)
    assert len(hub.requests) == asked


async def test_progress_is_in_bytes_and_says_what_is_left(here: Host, hub: HubDouble) -> None:
    hub.faults.block_seconds = 0.01
    record = await here.added()
    first = [status async for status in here.weights.downloads.watch(record)]
    assert first[0].state is WeightsState.DOWNLOADING
    assert first[-1].state is WeightsState.PRESENT
    counts = [status.present_bytes for status in first[:-1]]
    assert counts == sorted(counts)
    assert any(status.remaining_seconds for status in first)
    assert any(status.file == BIG for status in first)


async def test_a_cut_connection_goes_on_where_it_broke(
    here: Host, hub: HubDouble, model_folder: Path
) -> None:
    record = await here.added()
    size, headers = (model_folder / BIG).stat().st_size, hub.served(BIG)
    small = (model_folder / "model-1-of-2.safetensors").stat().st_size
    hub.faults.cuts = [small + 1, 100 * KIB, 1, 2000 * KIB]
    await here.downloaded(record)
    assert hub.served(BIG) - headers == size
    began = [r.first_byte for r in hub.requests if r.path.endswith(BIG) and "/cdn/" in r.path]
    assert began[1:] == [0, 100 * KIB, 100 * KIB + 1, 2100 * KIB + 1]


async def test_a_hub_that_falls_silent_is_asked_again(
    hub: HubDouble, model_folder: Path, tmp_path: Path
) -> None:
    hub.add(MODEL, model_folder)
    hub.faults.stall = 1
    asker, place = Hub(hub.url, silent_seconds=0.3), WeightsPlace(tmp_path, MODEL, COMMIT)
    await Download(asker, lambda told: None, patience=SOON).run(MODEL, place, lambda: None)
    await asker.close()
    assert place.is_whole
    assert hub.served(BIG) == (model_folder / BIG).stat().st_size


async def test_a_hub_that_ignores_ranges_is_read_anew(here: Host, hub: HubDouble) -> None:
    record = await here.added()
    hub.faults.cuts, hub.faults.ignore_ranges = [10**6, 200 * KIB], True
    await here.downloaded(record)
    assert (await here.weights.downloads.status(record)).state is WeightsState.PRESENT


async def test_a_hub_that_asks_to_wait_is_waited_for(here: Host, hub: HubDouble) -> None:
    record = await here.added()
    hub.faults.statuses = [(429, {"Retry-After": "0"}), (503, {})]
    await here.downloaded(record)


async def test_a_corrupt_part_is_fetched_again_once(
    here: Host, hub: HubDouble, model_folder: Path
) -> None:
    record = await here.added()
    hub.faults.corrupt = 1
    await here.downloaded(record)
    assert sha256_of(record.folder(here.data_dir) / BIG) == sha256_of(model_folder / BIG)


async def test_what_stays_corrupt_fails_and_says_so(here: Host, hub: HubDouble) -> None:
    record = await here.added()
    hub.faults.corrupt = 10
    with pytest.raises(Conflict, match="came twice with other bytes"):
        await here.downloaded(record)
    status = await here.weights.downloads.status(record)
    assert status.state is WeightsState.FAILED
    assert "model-1-of-2.safetensors" in status.detail
    assert not here.place(record).whole.exists()
    sentence, waits = await here.weights.downloads.hindrance(record)
    assert "could not be downloaded" in sentence
    assert not waits
    hub.faults.corrupt = 0
    await here.downloaded(record)


async def test_a_hub_that_lies_about_a_length(
    here: Host, hub: HubDouble, model_folder: Path
) -> None:
    record = await here.added()
    size = (model_folder / BIG).stat().st_size
    hub.repositories[MODEL].said_sizes[BIG] = size - 4
    with pytest.raises(Conflict, match=f"should have {size - 4} bytes"):
        await here.downloaded(record)


async def test_no_room_is_said_before_a_byte_is_fetched(
    here: Host, hub: HubDouble, tmp_path: Path, store: Store
) -> None:
    record = await here.added()
    asked = len(hub.requests)
    free = shutil.disk_usage(tmp_path).free
    queue = JobQueue(store, lane="full")
    full = Downloads(queue, here.data_dir, reserve_bytes=free)
    with pytest.raises(OutOfDisk, match="Make room there"):
        await full.start(record)
    sentence, waits = await full.hindrance(record)
    assert "Make room there" in sentence
    assert not waits
    assert len(hub.requests) == asked


async def test_a_gated_model_says_which_page_to_accept(here: Host, hub: HubDouble) -> None:
    record = await here.added()
    hub.repositories[MODEL].gated = True
    with pytest.raises(Conflict, match=f"accept its terms on {hub.url}/{MODEL}, then set HEARTH"):
        await here.downloaded(record)


async def test_a_cancelled_download_keeps_what_came(
    here: Host, hub: HubDouble, model_folder: Path, store: Store
) -> None:
    record = await here.added()
    before = hub.served(BIG)
    hub.faults.stall, hub.faults.block_seconds = 1, 0.002
    job = await here.weights.downloads.start(record)

    async def stalls() -> bool:
        return hub.faults.stall == 0

    await until(stalls)
    async with asyncio.timeout(5):
        await here.weights.downloads.cancel(record)
        assert await ended(JobQueue(store), job.job_id) is JobStatus.CANCELLED
    status = await here.weights.downloads.status(record)
    assert status.state is WeightsState.ABSENT
    assert status.present_bytes > 0
    sentence, waits = await here.weights.downloads.hindrance(record)
    assert "cancelled" in sentence
    assert not waits
    with pytest.raises(NotFound):
        await here.weights.downloads.cancel(record)
    hub.released.set()
    await here.downloaded(record)
    size = (model_folder / BIG).stat().st_size
    assert hub.served(BIG) - before < size + 300 * KIB


async def test_it_is_one_download_while_it_is_open(here: Host, hub: HubDouble) -> None:
    record = await here.added()
    hub.faults.stall = 1
    jobs = await asyncio.gather(*(here.weights.downloads.start(record) for _ in range(3)))
    assert len({job.job_id for job in jobs}) == 1
    hub.released.set()
    await here.downloaded(record)


async def test_a_replica_waits_for_weights_and_starts_their_download(here: Host) -> None:
    record = await here.added()
    sentence, waits = await here.weights.downloads.hindrance(record)
    assert sentence == f"Weights of {MODEL} are being downloaded: 0.0 of 4.0 MB."
    assert waits

    async def present() -> bool:
        return await here.weights.downloads.hindrance(record) == ("", False)

    await until(present)


async def test_two_agents_have_a_copy_each(
    here: Host, hub: HubDouble, store: Store, tmp_path: Path, model_folder: Path
) -> None:
    record = await here.added()
    size, headers = (model_folder / BIG).stat().st_size, hub.served(BIG)
    async with host(store, hub, tmp_path / "other", "there") as there:
        await asyncio.gather(here.downloaded(record), there.downloaded(record))
        for each in (here, there):
            assert (record.folder(each.data_dir) / BIG).stat().st_size == size
    assert hub.served(BIG) - headers == 2 * size


async def test_a_moved_branch_is_taken_when_nobody_uses_the_model(
    here: Host, hub: HubDouble
) -> None:
    record = await here.added()
    await here.downloaded(record)
    hub.repositories[MODEL].commit = "b" * 40
    moved = await here.added()
    assert (moved.commit, (await here.added()).commit) == ("b" * 40, "b" * 40)
    assert not record.folder(here.data_dir).exists()
    assert (await here.weights.downloads.status(moved)).state is WeightsState.ABSENT
