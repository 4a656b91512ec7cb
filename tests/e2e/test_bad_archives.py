"""Archives that lie, break or hold nothing: a sentence for each, and nothing half-made remains."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e import loop
from tests.e2e.packages import zipped
from tests.e2e.running import Cluster

pytestmark = pytest.mark.e2e

CODE = b"def double(number):\n    return 2 * number\n" * 20


@pytest.fixture(scope="module")
def admin(cluster: Cluster) -> Iterator[httpx.Client]:
    with cluster.client(cluster.admin_token) as client:
        yield client
        loop.delete_projects(client)


@pytest.fixture(scope="module")
def project_id(admin: httpx.Client) -> str:
    return loop.create_project(admin, "bad-archives", "")


def encrypted(archive: bytes) -> bytes:
    """The same zip with the flag of encryption set on each file (APPNOTE.TXT 4.4.4, bit 0)."""
    changed = bytearray(archive)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(signature)
        while at >= 0:
            changed[at + offset] |= 1
            at = changed.find(signature, at + 1)
    return bytes(changed)


def everything_below(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def source_files(cluster: Cluster) -> set[Path]:
    return everything_below(cluster.data_dir / "sources")


@pytest.mark.parametrize(
    ("file_name", "content", "says"),
    [
        ("cut.zip", zipped({"a.py": CODE})[:-30], "zip"),
        ("cut.tar.gz", b"\x1f\x8b\x08\x00" + bytes(20), "tar"),
        ("empty.zip", zipped({}), "file"),
        ("nothing.py", b"", "empty"),
    ],
    ids=["truncated zip", "broken tar", "zip of nothing", "empty file"],
)
def test_what_cannot_be_read_is_refused_with_a_sentence_and_leaves_nothing(
    cluster: Cluster,
    admin: httpx.Client,
    project_id: str,
    file_name: str,
    content: bytes,
    says: str,
) -> None:
    before = source_files(cluster)
    answer = admin.post(
        f"/api/v1/projects/{project_id}/sources",
        params={"file_name": file_name},
        content=content,
    )
    assert 400 <= answer.status_code < 500, answer.text
    sentence = answer.json()["error"]["message"]
    assert says in sentence.lower(), sentence
    assert sentence.endswith(".")
    assert source_files(cluster) == before
    listed = loop.made(admin.get(f"/api/v1/projects/{project_id}/sources"))["sources"]
    assert file_name.split(".")[0] not in {source["name"] for source in listed}


def test_names_that_climb_out_are_verdicts_and_nothing_is_written_outside(
    cluster: Cluster, admin: httpx.Client
) -> None:
    climbing = ["../climbed.py", "../../climbed.py", "/climbed.py", "a/../../climbed.py"]
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name in [*climbing, "fine.py"]:
            archive.writestr(name, CODE)
    project_id = loop.create_project(admin, "climbing", "")
    loop.upload(admin, project_id, "climbing.zip", memory.getvalue())
    scan, _ = loop.scanned(admin, project_id, num_sources=1)
    judged = list(loop.verdicts(admin, scan["scan_id"]))
    refused = [verdict for verdict in judged if not verdict["accepted"]]
    assert len(judged) == 5
    assert len(refused) == 4
    assert all(v["reason"] == "linguist_error" and v["detail"] for v in refused)
    assert not list(cluster.data_dir.rglob("climbed.py"))
    assert not (cluster.data_dir.parent / "climbed.py").exists()
    assert not Path("/climbed.py").exists()


def test_encrypted_files_are_verdicts(admin: httpx.Client) -> None:
    project_id = loop.create_project(admin, "locked", "")
    loop.upload(admin, project_id, "locked.zip", encrypted(zipped({"a.py": CODE, "b.py": CODE})))
    scan, dataset = loop.scanned(admin, project_id, num_sources=1)
    judged = list(loop.verdicts(admin, scan["scan_id"]))
    assert [verdict["reason"] for verdict in judged] == ["linguist_error"] * 2
    assert all("encrypted" in verdict["detail"].lower() for verdict in judged)
    assert dataset["train"]["num_files"] == 0


def test_an_archive_without_usable_files_says_why_for_each(admin: httpx.Client) -> None:
    project_id = loop.create_project(admin, "unusable", "")
    content = zipped({"photo.jpg": bytes(range(256)) * 4, "notes.xyz": b"some words", "e.py": b""})
    loop.upload(admin, project_id, "unusable.zip", content)
    scan, dataset = loop.scanned(admin, project_id, num_sources=1)
    judged = list(loop.verdicts(admin, scan["scan_id"]))
    assert {verdict["accepted"] for verdict in judged} == {False}
    assert all(verdict["reason"] and verdict["detail"].endswith(".") for verdict in judged)
    assert dataset["train"]["num_files"] == dataset["test"]["num_files"] == 0
    run = {"project_id": project_id, "model": "hearth/starter-coder"}
    refused = admin.post("/api/v1/runs", json=run)
    assert 400 <= refused.status_code < 500, refused.text
    assert refused.json()["error"]["message"].endswith(".")
