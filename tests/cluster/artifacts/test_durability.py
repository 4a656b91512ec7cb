"""What `publish` has put on disk before an artifact appears, and what a kill leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.cluster.artifacts.manifest import MANIFEST, ArtifactKind
from services.cluster.artifacts.store import ArtifactStore

ADAPTER = ArtifactKind.ADAPTER

# Publishes in a child, below a folder of its argument named 0, and prints the number of its calls
# to the file system. Then for each of them, below a folder that has its number as name, in a child
# that kills itself at that call; prints the children's exit statuses.
_PUBLISHERS = """
import os, signal, sys
from pathlib import Path
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore

def publish(root, last):
    count = 0
    real_fsync = os.fsync

    def called():
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(descriptor):
        called()
        real_fsync(descriptor)

    def hook(event, arguments):
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.utime"):
            if root in str(arguments[0]):
                called()

    os.fsync = fsync
    sys.addaudithook(hook)
    store = ArtifactStore(Path(root))
    with store.draft(ArtifactKind.ADAPTER, "a1") as draft:
        draft.file("deep/er/a").write_text("x" * 5000)
        draft.file("b").write_text("y")
        draft.publish()
    return count

def status_of_child(last):
    pid = os.fork()
    if not pid:
        os._exit(publish(os.path.join(sys.argv[1], str(last)), last))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

num_calls = status_of_child(0)
print(num_calls, *map(status_of_child, range(1, num_calls + 1)))
"""


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places that are synced and the renames, in their order."""
    calls: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        calls.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    def rename(place: Path, target: Path) -> Path:
        calls.append(f"{place} -> {target}")
        return real_rename(place, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    return calls


def test_everything_is_on_disk_before_the_rename_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path / "data")
    calls = recorded(monkeypatch)
    with store.draft(ADAPTER, "a1") as draft:
        draft.file("deep/er/a").write_text("a")
        draft.file("b").write_text("b")
        folder = str(draft.folder)
        draft.publish()
    names = ["/b", "/deep/er/a", "/deep/er", "/deep"]
    before = [calls.index(folder + name) for name in names]
    manifest = calls.index(f"{folder}/.{MANIFEST}.tmp")
    named = calls.index(f"{folder}/.{MANIFEST}.tmp -> {folder}/{MANIFEST}")
    folder_synced = calls.index(folder, named)
    made = calls.index(f"{folder} -> {tmp_path}/data/adapters/a1")
    appeared = calls.index(f"{tmp_path}/data/adapters", made)
    assert before == sorted(before) or max(before) < manifest
    assert max(before) < manifest < named < folder_synced < made < appeared
    kind_made = calls.index(f"{tmp_path}/data")  # the name of the new folder "adapters" in it
    assert kind_made < made


def test_an_artifact_that_is_adopted_is_on_disk_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its maker may have been stopped between the rename and the sync of its name."""
    store = ArtifactStore(tmp_path)
    calls: list[str] = []
    for number in range(2):
        calls = recorded(monkeypatch) if number else []
        with store.draft(ADAPTER, "a1") as draft:
            draft.file("a").write_text("a")
            draft.publish()
    assert calls[-1] == str(tmp_path / "adapters")


def test_a_kill_at_any_call_leaves_the_whole_artifact_or_none(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PUBLISHERS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    num_calls, *statuses = map(int, done.stdout.split())
    assert num_calls > 15
    assert statuses == [-signal.SIGKILL] * num_calls
    found = []
    for last_call in range(1, num_calls + 1):
        store = ArtifactStore(tmp_path / str(last_call))
        found.append(len(store.manifests(ADAPTER)))
        if found[-1]:
            assert store.verify(ADAPTER, "a1") == []
        # Whatever is left, the next attempt publishes.
        with store.draft(ADAPTER, "a1") as draft:
            draft.file("deep/er/a").write_text("x" * 5000)
            draft.file("b").write_text("y")
            draft.publish()
        assert store.verify(ADAPTER, "a1") == []
    assert found == sorted(found)
    assert set(found) == {0, 1}


@pytest.mark.parametrize("moment", ["os.rename", "os.rmdir", "os.remove"])
def test_a_kill_in_a_deletion_leaves_no_half(tmp_path: Path, moment: str) -> None:
    store = ArtifactStore(tmp_path)
    with store.draft(ADAPTER, "a1") as draft:
        draft.file("deep/a").write_text("a")
        draft.publish()
    script = f"""
import os, signal, sys
from pathlib import Path
from services.cluster.artifacts.manifest import ArtifactKind
from services.cluster.artifacts.store import ArtifactStore
sys.addaudithook(lambda event, _: event == {moment!r} and os.kill(os.getpid(), signal.SIGKILL))
ArtifactStore(Path({str(tmp_path)!r})).delete(ArtifactKind.ADAPTER, "a1")
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    if moment == "os.rename":
        assert store.verify(ADAPTER, "a1") == []
    else:
        assert not (tmp_path / "adapters" / "a1").exists()
