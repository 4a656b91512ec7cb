"""A power cut: all that was acknowledged is on the disk, and nothing on it is half.

The data volume is an ext4 file system on a loop device. Under load its writers are stopped and the
device's blocks are copied without a sync, so the copy lacks what only memory held. Hearth's own
Redis and store start from the copy.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from services.cluster import redis_server
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import HearthError, StoreUnavailable
from services.cluster.jobs.queue import LEASE_SECONDS
from services.cluster.store.connection import Store
from services.cluster.store.keys import Keys
from tests.faults.filesystems import Volume, ext4, mounted, why_no_volumes
from tests.faults.report import FaultReport

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(why_no_volumes()), reason=why_no_volumes()),
]

ROOT = Path(__file__).parents[2]
DATASET = ArtifactKind.DATASET
_VOLUME_MIB = 128
_NUM_CUTS = 5
_START_SECONDS = 60.0
_LOAD_SECONDS = 1.3  # between two cuts; no multiple of the second that everysec waits


@dataclass
class Acknowledged:
    """What the load was told before the cut. Artifacts that it began to delete are left out."""

    jobs: set[str] = field(default_factory=set)
    artifacts: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, log: Path) -> Acknowledged:
        found = cls()
        for kind, identity in re.findall(r"^(\S+) (\S+)\n", log.read_text(), re.MULTILINE):
            if kind == "job":
                found.jobs.add(identity)
            elif kind == "artifact":
                found.artifacts.add(identity)
            else:
                found.artifacts.discard(identity)
        return found


@dataclass
class Found:
    """What the copy lacks of it, and what it has of which the data is not the manifest's."""

    lost_jobs: set[str]
    lost_artifacts: set[str]
    broken: list[str]


@contextmanager
def redis_on(
    data_dir: Path, policy: str = "always"
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command, url = redis_server.prepare(data_dir)
    command[command.index("--appendfsync") + 1] = policy
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield process, url
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with the child that rewrites a long file


@contextmanager
def load_on(data_dir: Path, log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.faults.load", str(data_dir), str(log), *words]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        assert process.poll() is None, "the load ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def stopped(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    for process in processes:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    yield
    for process in reversed(processes):
        process.send_signal(signal.SIGCONT)


def cuts(
    folder: Path, volume: Volume, policy: str, *words: str
) -> Iterator[tuple[Path, Acknowledged]]:
    """Copies of the volume under load, each with what had been acknowledged before it began."""
    log = folder / "acknowledged.log"
    with redis_on(volume.folder, policy) as (redis, _), load_on(volume.folder, log, *words) as load:
        wait_for(lambda: log.exists() and log.read_text().count("\n") > 50, load)
        for number in range(_NUM_CUTS):
            wanted = time.monotonic() + _LOAD_SECONDS
            wait_for(lambda wanted=wanted: time.monotonic() > wanted, load)  # type: ignore[misc]
            copy = folder / f"cut-{number}.img"
            with stopped([load, redis]):
                acknowledged = Acknowledged.read(log)
                volume.power_cut(copy)
            yield copy, acknowledged
            copy.unlink()


async def found_in(copy: Path, acknowledged: Acknowledged) -> Found:
    with (
        mounted(copy, copy.with_suffix("")) as data_dir,
        redis_on(data_dir) as (_, url),
    ):
        store = await connected(url)
        lost_jobs = {
            job_id
            for job_id in acknowledged.jobs
            if not await store.field(Keys.JOB.format(job_id), "job_id")
        }
        await store.close()
        artifacts = ArtifactStore(data_dir)
        ids = set(artifacts.ids(DATASET))
        broken = [artifact_id for artifact_id in ids if is_broken(artifacts, artifact_id)]
    return Found(lost_jobs, acknowledged.artifacts - ids, broken)


async def connected(url: str) -> Store:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return await Store.connect(url)
        except StoreUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


def is_broken(artifacts: ArtifactStore, artifact_id: str) -> bool:
    try:
        return artifacts.verify(DATASET, artifact_id) != []
    except HearthError:
        return True


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with ext4(tmp_path, _VOLUME_MIB) as made:
        yield made


def test_the_copy_has_what_was_synced_and_nothing_else(volume: Volume, tmp_path: Path) -> None:
    synced, unsynced = (volume.folder / name for name in ("synced", "unsynced"))
    synced.write_bytes(b"is on the disk")
    with synced.open("rb") as file:
        os.fsync(file.fileno())
    unsynced.write_bytes(b"is in memory")
    volume.power_cut(tmp_path / "cut.img")
    with mounted(tmp_path / "cut.img", tmp_path / "cut") as place:
        assert (place / "synced").read_bytes() == b"is on the disk"
        assert not (place / "unsynced").exists() or (place / "unsynced").read_bytes() == b""


async def test_nothing_that_was_acknowledged_is_lost(
    volume: Volume, tmp_path: Path, reports: list[FaultReport]
) -> None:
    num_jobs = num_artifacts = 0
    for copy, acknowledged in cuts(tmp_path, volume, "always", "artifacts"):
        found = await found_in(copy, acknowledged)
        assert (found.lost_jobs, found.lost_artifacts, found.broken) == (set(), set(), [])
        num_jobs, num_artifacts = len(acknowledged.jobs), len(acknowledged.artifacts)
    assert num_jobs > 100
    assert num_artifacts > 10
    injected = f"{_NUM_CUTS} power cuts under load"
    reports.append(FaultReport(injected, num_jobs, 0, None, None, LEASE_SECONDS))
    print(  # noqa: T201
        f"\n{_NUM_CUTS} power cuts under load, appendfsync always: 0 lost of {num_jobs} jobs and"
        f" {num_artifacts} artifacts acknowledged at the last one, 0 broken manifests"
    )


async def test_the_cut_does_harm_where_redis_syncs_once_a_second(
    volume: Volume, tmp_path: Path
) -> None:
    lost = []
    num_jobs = 0
    for copy, acknowledged in cuts(tmp_path, volume, "everysec"):
        lost.append(len((await found_in(copy, acknowledged)).lost_jobs))
        num_jobs = len(acknowledged.jobs)
    assert any(lost)
    print(  # noqa: T201
        f"\n{_NUM_CUTS} power cuts under load, appendfsync everysec: {lost} lost of {num_jobs} jobs"
        " acknowledged at the last one"
    )


async def test_the_cut_does_harm_where_publishing_does_not_sync(
    volume: Volume, tmp_path: Path
) -> None:
    harmed = []
    num_artifacts = 0
    for copy, acknowledged in cuts(tmp_path, volume, "always", "artifacts", "unsynced"):
        found = await found_in(copy, acknowledged)
        assert found.lost_jobs == set()
        harmed.append((len(found.lost_artifacts), len(found.broken)))
        num_artifacts = len(acknowledged.artifacts)
    assert any(num_broken for _, num_broken in harmed)
    print(  # noqa: T201
        f"\n{_NUM_CUTS} power cuts under load, publishing without fsync: (lost, broken) {harmed} of"
        f" {num_artifacts} artifacts acknowledged at the last one"
    )
