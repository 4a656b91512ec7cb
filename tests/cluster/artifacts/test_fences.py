from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.cluster import durable_files
from services.cluster.artifacts.fences import Fence, Fences
from services.cluster.artifacts.locks import locked
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import BadRequest, Conflict, LeaseLost, NotFound, Unavailable
from tests.cluster.artifacts.waiting import wait_for_opened

DATASET = ArtifactKind.DATASET

# Publishes d1 with the token of its argument; stops itself in the moment that is named: before the
# fence is looked at, or inside its lock.
_HOLDER = """
import os, signal, sys
from pathlib import Path
from services.cluster.artifacts.fences import Fence
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
from services.cluster.errors import LeaseLost

root, token, moment, text = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]

def stop():
    print("stopping", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

def hook(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith("datasets/d1"):
        stop()

store = ArtifactStore(root)
store.fences.raise_to("job-1", token)
if moment == "inside":
    sys.addaudithook(hook)
with store.draft(ArtifactKind.DATASET, "d1") as draft:
    draft.file("a").write_text(text)
    try:
        draft.publish(
            guard=stop if moment == "before" else None, fence=Fence("job-1", token)
        )
    except LeaseLost:
        sys.exit(3)
"""


@contextmanager
def stopped_holder(
    root: Path, token: int, moment: str, text: str
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", _HOLDER, str(root), str(token), moment, text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "stopping\n"
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
            yield process
        finally:
            process.kill()


def publish(store: ArtifactStore, text: str, fence: Fence) -> None:
    with store.draft(DATASET, "d1") as draft:
        draft.file("a").write_text(text)
        draft.publish(fence=fence)


def test_only_the_newest_token_publishes(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    store.fences.raise_to("job-1", 7)
    store.fences.raise_to("job-1", 7)
    store.fences.raise_to("job-1", 9)
    with pytest.raises(LeaseLost, match="taken over job-1"):
        store.fences.raise_to("job-1", 8)
    with pytest.raises(LeaseLost):
        publish(store, "old", Fence("job-1", 7))
    with pytest.raises(NotFound):
        store.manifest(DATASET, "d1")
    assert list((tmp_path / "drafts").iterdir()) == []
    publish(store, "new", Fence("job-1", 9))
    assert (store.path(DATASET, "d1") / "a").read_text() == "new"
    assert (tmp_path / "fences" / "job-1").read_text() == "9\n"


def test_a_later_attempt_adopts_what_an_earlier_one_published(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    store.fences.raise_to("job-1", 1)
    publish(store, "same", Fence("job-1", 1))
    first = store.manifest(DATASET, "d1")
    store.fences.raise_to("job-1", 2)
    with store.draft(DATASET, "d1") as draft:
        draft.file("a").write_text("same")
        assert draft.publish(fence=Fence("job-1", 2)) == first
    with pytest.raises(Conflict):
        publish(store, "other", Fence("job-1", 2))


def test_a_fence_that_was_collected_lets_nobody_publish(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    store.fences.raise_to("job-1", 4)
    store.fences.delete("job-1")
    with pytest.raises(LeaseLost):
        publish(store, "late", Fence("job-1", 4))
    assert store.fences.places() == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        Fences(tmp_path).raise_to(name, 1)


def test_a_holder_that_wakes_after_a_newer_attempt_publishes_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    with stopped_holder(tmp_path, 1, "before", "stale") as holder:
        store.fences.raise_to("job-1", 2)
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.wait(30) == 3
        assert store.manifests(DATASET) == []
    publish(store, "fresh", Fence("job-1", 2))
    assert (store.path(DATASET, "d1") / "a").read_text() == "fresh"


def test_a_holder_that_is_stopped_inside_the_lock_is_waited_for_only_so_long(
    tmp_path: Path,
) -> None:
    store = ArtifactStore(tmp_path, wait_seconds=0.3)
    with stopped_holder(tmp_path, 1, "inside", "first") as holder:
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="may have been stopped"):
            store.fences.raise_to("job-1", 2)
        assert 0.3 <= time.monotonic() - begun < 5
        assert store.manifests(DATASET) == []
        os.kill(holder.pid, signal.SIGCONT)
        assert holder.wait(30) == 0  # nobody had raised the fence: the artifact is its
        store.fences.raise_to("job-1", 2)
    publish(store, "first", Fence("job-1", 2))
    assert [m.artifact_id for m in store.manifests(DATASET)] == ["d1"]


def test_a_killed_holder_lets_go_of_the_lock_at_once(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, wait_seconds=5)
    with stopped_holder(tmp_path, 1, "inside", "first") as holder:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(30)
    store.fences.raise_to("job-1", 2)
    publish(store, "second", Fence("job-1", 2))
    assert (store.path(DATASET, "d1") / "a").read_text() == "second"


def test_whoever_waited_for_a_fence_sees_the_newest_token(tmp_path: Path) -> None:
    """The file that was waited for is another one by then: each token is written to a new file."""
    store = ArtifactStore(tmp_path)
    store.fences.raise_to("job-1", 1)
    place = tmp_path / "fences" / "job-1"
    with ThreadPoolExecutor() as pool:
        with locked(place):
            waiting = pool.submit(publish, store, "stale", Fence("job-1", 1))
            wait_for_opened(place, 2)
            durable_files.write(place, "2\n")
        with pytest.raises(LeaseLost):
            waiting.result(30)
    assert store.manifests(DATASET) == []
